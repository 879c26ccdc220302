"""Text files, read with a bound: they may come from anybody."""

import json
from pathlib import Path
from typing import Any

from segjax.io._problem import problem, reason


MAX_BYTES = 4 * 2**20
MAX_YAML = 2**18  # as much takes two seconds


def read_bytes(path: Path, limit: int = MAX_BYTES, mend: str = "give a shorter file") -> bytes:
    """The content of a file of at most `limit` bytes; `mend` says what to do with a longer one."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise problem(path, f"cannot be read ({reason(error)})", "check the path") from error
    if len(data) > limit:
        raise problem(path, f"has more than {limit} bytes", mend)
    return data


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; a name that no system takes is told."""
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:
        raise problem(path, f"cannot be read ({reason(error)})", "check the path") from error


def decode(path: Path, data: bytes) -> str:
    """The text of the bytes of a UTF-8 file."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise problem(path, "is not UTF-8 text", "save it as UTF-8") from error


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of a UTF-8 file of at most `limit` bytes."""
    return decode(path, read_bytes(path, limit))


def parse_json(path: Path, text: str, *, unique: bool = False) -> Any:
    """The content of a JSON file; `unique` refuses a name that an object has twice."""
    try:
        return json.loads(text, object_pairs_hook=_once if unique else None)
    except (ValueError, RecursionError) as error:
        raise problem(path, f"is no valid JSON ({reason(error)})", "correct it") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file of at most `MAX_BYTES`."""
    return parse_json(path, read_text(path))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"{twice[:80]!r} is there twice")
    return found
