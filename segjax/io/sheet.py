"""What a source of scores holds, whatever its format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, TypeAlias


Value: TypeAlias = str | int | float | None  # of a column of metadata


class Status(IntEnum):
    """What became of a score.

    A file that only lacks a number does not say why, so that the score is absent: nobody gains
    by leaving one out.
    """

    SCORED = 0
    UNDEFINED = 1  # 0/0: there was nothing to score
    MISSED = 2  # nothing was predicted of what is there, or a distance has nothing to reach
    ABSENT = 3


class Row(NamedTuple):
    """One score; the metric by its canonical name where it is known, NaN for no score."""

    model: str
    case: str
    label: str
    metric: str
    score: float
    status: Status


class Source(NamedTuple):
    """A file that was read, and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known about a model.

    Attributes:
        version: of the model.
        license: of its weights.
        url: where it is described.
        contaminated: whether it was trained on the cases it is scored on.
        contaminated_on: names of data sets it was trained on.
    """

    version: str = ""
    license: str = ""
    url: str = ""
    contaminated: bool = False
    contaminated_on: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What one source of scores holds.

    Attributes:
        rows: one per score, in the order of the source.
        metadata: by case, values by column.
        facts: by model, in the order of the source.
        dataset: "name", "url", "license" and "citation", as far as known.
        suspect: models and labels that the source flags as not to be trusted.
        diagonals: of the images, by case, in the unit of lengths.
        unit: of lengths, if the source says so.
        sources: what was read.
        notes: what was left out.
    """

    rows: Sequence[Row]
    metadata: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    facts: Mapping[str, Facts] = field(default_factory=dict)
    dataset: Mapping[str, str] = field(default_factory=dict)
    suspect: frozenset[tuple[str, str]] = frozenset()
    diagonals: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
