"""One wording for everything that can be wrong with a file."""

from pathlib import Path

from segjax._errors import InputError


def shown(text: object) -> str:
    """`text` on one line: what does not print (a newline in a file name, say) is escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def problem(path: Path, what: str, mend: str) -> InputError:
    """The error to raise about `path`: what is wrong, then how to mend it."""
    return InputError(f"{shown(path)}: {shown(what)}; {shown(mend)}")


def reason(error: BaseException) -> str:
    """The words of another library's exception, on one short line."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    return f"{text[:200]}" if text else type(error).__name__
