"""What may be wrong with two folders: one row a kind, worst first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


Severity = Literal["stops", "changes", "note"]


class Kind(NamedTuple):
    """A kind of finding.

    Attributes:
        name: for machines.
        severity: whether scoring stops, or goes on with other results than one may expect; or
            only something that is good to know.
        what: of how many cases, and what.
    """

    name: str
    severity: Severity
    what: str


KINDS = (
    Kind("unpaired folders", "stops", "The folders cannot be paired"),
    Kind("duplicate names", "stops", "Several files have the name of one case"),
    Kind("unreadable", "stops", "Files cannot be read as label maps"),
    Kind("axes", "stops", "Axes are in another order than the reference's"),
    Kind(
        "resampled", "stops", "Same field of view, another grid: resampled, or never brought back"
    ),
    Kind("shape", "stops", "Another shape, and not the same field of view"),
    Kind("spacing", "stops", "Headers give another spacing"),
    Kind("orientation", "stops", "Headers give another orientation"),
    Kind("position", "stops", "Headers give another position"),
    Kind("unlisted labels", "stops", "Labels that the list of names lacks"),
    Kind("too many labels", "stops", "Objects among what is scored as classes"),
    Kind("mask values", "stops", "Masks that mark the same by different numbers"),
    Kind("missing predictions", "changes", "References without a prediction are left out"),
    Kind("merged objects", "changes", "References tell objects apart, predictions do not"),
    Kind("objects as classes", "changes", "Numbers of objects will be scored as classes"),
    Kind("unexpected labels", "changes", "Labels that no reference has"),
    Kind("unknown spacing", "changes", "Only the prediction says how large a voxel is"),
    Kind("intensities", "changes", "More like an image than a label map"),
    Kind("unused device", "note", "JAX runs on the CPU, and the machine has an accelerator"),
    Kind("objects", "note", "Labels will be taken as objects"),
    Kind("spare predictions", "note", "Predictions without a reference are not scored"),
    Kind("never predicted", "note", "Labels that no prediction has"),
    Kind("empty prediction", "note", "Empty predictions of something that is there"),
    Kind("empty reference", "note", "Empty references"),
    Kind("float labels", "note", "Labels are stored as floating-point numbers"),
    Kind("same file", "note", "Prediction and reference are the same, byte by byte"),
)
_RANK = {kind.name: rank for rank, kind in enumerate(KINDS)}


class Defect(NamedTuple):
    """One file or case of which something is to be said."""

    kind: str
    case: str
    detail: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Defects of one kind, with what mends the first of them.

    Attributes:
        kind: name of a row of `KINDS`.
        severity: of the kind.
        what: in words.
        detail: of the first case.
        command: what to run, or to do, about the first case.
        each: whether the other cases need a command of their own, with their names.
        cases: whom it concerns.
    """

    kind: str
    severity: Severity
    what: str
    detail: str
    command: str
    each: bool
    cases: Sequence[str]


def grouped(defects: Iterable[Defect]) -> list[Finding]:
    """One finding a kind, worst first; those of one kind with the first one's words."""
    by_kind: dict[str, list[Defect]] = {}
    for defect in defects:
        by_kind.setdefault(defect.kind, []).append(defect)
    return [
        Finding(
            kind=name,
            severity=KINDS[_RANK[name]].severity,
            what=KINDS[_RANK[name]].what,
            detail=some[0].detail,
            command=some[0].command,
            each=len({defect.command for defect in some}) > 1,
            cases=list(dict.fromkeys(defect.case for defect in some)),
        )
        for name, some in sorted(by_kind.items(), key=lambda item: _RANK[item[0]])
    ]
