"""Pairs of files by two patterns, in both of which `{id}` stands for the name of the case."""

import glob
import re
from pathlib import Path

from segjax.io._problem import problem
from segjax.io.formats.zarr import is_store
from segjax.io.pairing import Pair, Pairing, natural
from segjax.io.read import is_readable


ID = "{id}"

_NARROWER = "make the pattern narrower, or move one of them"
_NAME = r"(?P<id>[^/\\]+)"
_WILD = {"**/": r"(?:.*[/\\])?", "**": ".*", "*": r"[^/\\]*?", "?": r"[^/\\]"}


def is_pattern(path: str | Path) -> bool:
    """Whether `path` says where the name of a case stands."""
    return ID in str(path)


def pair(reference: str, prediction: str) -> Pairing:
    """Pair files whose paths have the same at `{id}`; `*`, `?`, `[ab]` and `**` match anything.

    Raises:
        InputError: if one pattern lacks `{id}`, matches nothing, or two files of one case.
    """
    references, predictions = _matches(reference), _matches(prediction)
    both = sorted(references.keys() & predictions.keys(), key=natural)
    if not both:
        first, second = next(iter(references)), next(iter(predictions))
        raise problem(
            Path(prediction),
            f"{ID} is {second!r} here, and {first!r} in {reference}, and no two are equal",
            f"put {ID} where both paths have the same",
        )
    alone = sorted(references.keys() - predictions.keys(), key=natural)
    return Pairing(
        "patterns",
        tuple(Pair(name, references[name], predictions[name]) for name in both),
        tuple(alone),
        tuple(sorted(predictions.keys() - references.keys(), key=natural)),
        unpredicted=tuple(Pair(name, references[name], None) for name in alone),
    )


def _matches(pattern: str) -> dict[str, Path]:
    """Files by what stands at `{id}`; of a second `{id}`, the same has to stand there."""
    if ID not in pattern:
        raise problem(
            Path(pattern), f"has no {ID}", f"write {ID} where the name of the case stands"
        )
    expression = _expression(pattern)
    found: dict[str, Path] = {}
    for text in sorted(glob.iglob(pattern.replace(ID, "*"), recursive=True), key=natural):
        path, match = Path(text), expression.fullmatch(text)
        if match is None or not is_readable(path) or not (path.is_file() or is_store(path)):
            continue
        name = match["id"]
        if name in found:
            raise problem(
                path, f"is the second file of case {name} beside {found[name]}", _NARROWER
            )
        found[name] = path
    if not found:
        raise problem(Path(pattern), "matches no label map", "check the pattern, and quote it")
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression, whose group `id` is the name of the case."""
    parts: list[str] = []
    for part in re.split(r"(\{id\}|\*\*/?|\*|\?|\[[^]]+\])", pattern):
        if part == ID:
            parts.append("(?P=id)" if _NAME in parts else _NAME)
        elif part in _WILD:
            parts.append(_WILD[part])
        elif part.startswith("[") and part.endswith("]"):
            parts.append(re.sub(r"^\[!", "[^", part))
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts))
