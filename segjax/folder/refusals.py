"""Cases that cannot be scored, among others that can."""

from collections.abc import Callable
from typing import TypeVar

from segjax._errors import InputError


T = TypeVar("T")

_MOST = 20  # cases, after which it is not a few files that are wrong
_TOLD = 5


def attempt(work: Callable[[], T]) -> T | InputError:
    """What `work` returns, or its refusal."""
    try:
        return work()
    except InputError as error:
        return error


class Refusals:
    """What is wrong with some cases: told when all others are done, if these are kept."""

    def __init__(self, *, kept: bool):
        """Begin with none; if nothing is `kept`, the first is one too many."""
        self._most = _MOST if kept else 1
        self._errors: dict[str, InputError] = {}

    def add(self, case: str, error: InputError) -> None:
        """Note that a case cannot be scored.

        Raises:
            InputError: if there are too many to go on.
        """
        self._errors[case] = error
        if len(self._errors) == self._most:
            self.tell("no more were tried")

    def tell(self, rest: str = "all others are done") -> None:
        """Raise one error about all cases; nothing if there are none.

        Raises:
            InputError: what is wrong with the first few, and which others it is.
        """
        if len(self._errors) == 1:
            raise next(iter(self._errors.values()))
        if self._errors:
            told = [str(error) for error in [*self._errors.values()][:_TOLD]]
            if more := [*self._errors][_TOLD:]:
                told.append(f"also {', '.join(more)}")
            raise InputError(
                f"{len(self._errors)} cases cannot be scored, {rest}; mend them, and go on with "
                f"--resume: {' | '.join(told)}"
            )
