"""The one error that users cause and can mend."""


class InputError(ValueError):
    """Input that cannot be scored.

    The message says in one line what is wrong, where, and how to mend it; the command
    line prints it as it is and exits with status 2.
    """
