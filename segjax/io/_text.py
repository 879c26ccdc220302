"""Small text files, read with a bound: they may come from anybody."""

import json
from pathlib import Path
from typing import Any

from segjax.io._problem import problem, reason


MAX_BYTES = 4 * 2**20


def read_text(path: Path) -> str:
    """The text of a UTF-8 file of at most `MAX_BYTES`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise problem(path, f"cannot be read ({reason(error)})", "check the path") from error
    if len(data) > MAX_BYTES:
        raise problem(path, f"has more than {MAX_BYTES} bytes", "give a shorter file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise problem(path, "is not UTF-8 text", "save it as UTF-8") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file of at most `MAX_BYTES`."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise problem(path, f"is no valid JSON ({reason(error)})", "correct it") from error
