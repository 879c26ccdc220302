"""Write files that are whole or absent, and a journal that survives a crash."""

import json
import os
import secrets
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

from segjax._errors import InputError
from segjax.io._problem import problem, reason


def write_atomic(path: str | Path, data: str | bytes) -> None:
    """Write a file so that it holds the old content or the new, never a part.

    Args:
        path: of the file; its folder must exist. A link is followed.
        data: text is written as UTF-8.

    Raises:
        InputError: if it cannot be written; the old file is then as it was.
    """
    # File names that are no Unicode reach a report as lone surrogates, which UTF-8 lacks.
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise unwritable(Path(path), error) from error


def output_folder(path: str | Path) -> Path:
    """The folder for output, made if it is not there.

    Raises:
        InputError: if it cannot be made.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be made ({error.strerror}); choose another --output"
        ) from None
    return path


class Journal:
    """An append-only file of JSON lines, so that a long run can be resumed.

    Each line ends with a checksum of itself: what a damaged disk or an editor has changed is told
    and not believed.

    Use as a context manager, or call `close`.

    Attributes:
        path: of the file.
        entries: all that it holds, the oldest first.
    """

    def __init__(self, path: Path, entries: list[dict[str, Any]], length: int):
        self.path = path
        self.entries = entries
        self._length = length
        try:
            # Unbuffered: one entry is one write, and is in the file when append returns.
            self._file = path.open("r+b" if path.exists() else "xb", buffering=0)
            self._file.truncate(length)
        except (OSError, ValueError) as error:
            raise unwritable(path, error) from error

    @classmethod
    def open(cls, path: str | Path, *, resume: bool) -> "Journal":
        """Open a journal; without `resume` what it held is forgotten.

        A last line that a crash cut short is forgotten too.

        Raises:
            InputError: if the file cannot be used, or holds something else.
        """
        path = Path(path)
        entries, length = _entries(path) if resume and path.exists() else ([], 0)
        return cls(path, entries, length)

    def append(self, entry: dict[str, Any]) -> None:
        """Add one entry.

        Raises:
            InputError: if it cannot be written; the journal is then as it was.
        """
        line = journal_line(entry)
        try:
            self._file.seek(self._length)
            written = self._file.write(line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes fitted")
        except (OSError, ValueError) as error:
            self._forget_torn_line()
            raise unwritable(self.path, error) from error
        self._length += len(line)
        self.entries.append(entry)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _forget_torn_line(self) -> None:
        try:
            self._file.truncate(self._length)
        except (OSError, ValueError):
            pass  # The next resume will forget it.


_SUM = b', "crc32": '


def journal_line(entry: dict[str, Any]) -> bytes:
    """The line of an entry that is not empty, with its checksum."""
    line = json.dumps(entry).encode()
    return line[:-1] + _SUM + str(zlib.crc32(line)).encode() + b"}\n"


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The entries of a journal that another may be writing; a torn last line is passed over.

    Raises:
        InputError: if it cannot be read, or holds something else.
    """
    return _entries(path)[0]


def _entries(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The entries of a journal and how many bytes they take."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise problem(path, f"cannot be read ({reason(error)})", "check the file") from error
    lines = data.split(b"\n")
    entries, length = [], 0
    # The last piece follows the last line break: nothing, or a torn line.
    for number, line in enumerate(lines[:-1], start=1):
        entry = _entry(line)
        if entry is None and number == len(lines) - 1:
            break
        if entry is None or entry.pop("crc32", None) != _checksum(line):
            what = f"line {number} is damaged or no entry"
            raise problem(path, what, "start again without resuming")
        entries.append(entry)
        length += len(line) + 1
    return entries, length


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _checksum(line: bytes) -> int:
    """Of what stood in a line before its checksum did."""
    return zlib.crc32(line.rpartition(_SUM)[0] + b"}")


def unwritable(path: Path, error: BaseException) -> InputError:
    """The error to raise about a file that the system does not let us write."""
    mend = "free some space or choose another place" if path.parent.is_dir() else "make its folder"
    return problem(path, f"cannot be written ({reason(error)})", mend)
