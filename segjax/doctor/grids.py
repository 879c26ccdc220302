"""Whether two files of a case lie on one grid, and if not, what happened."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

from segjax import io
from segjax.doctor import mending
from segjax.doctor.findings import Defect
from segjax.doctor.looking import Looked, Seen


def check_grids(looked: Looked, given: Sequence[Path]) -> Iterator[Defect]:
    """At most one defect: the first difference explains the others."""
    r, p = looked.reference, looked.prediction
    if r is None or p is None or looked.pair.slice is not None:
        return
    found = _of_shapes(r, p) if r.shape != p.shape else _of_headers(r, p, given)
    if found is not None:
        yield Defect(found[0], looked.pair.name, *found[1:])


def _of_shapes(r: Seen, p: Seen) -> tuple[str, str, str]:
    shapes = f"{p.path} has shape {p.shape}, its reference {r.shape}"
    order = _order(r, p)
    if order is not None:
        return (
            "axes",
            f"{shapes}: axes {order} of it are the reference's",
            mending.transpose(r.path, p.path, order),
        )
    if io.same_field_of_view(r.grid, p.grid):
        return "resampled", shapes, mending.resample(r.path, p.path)
    return (
        "shape",
        f"{shapes}; predict on the very image that was annotated, or, if both are parts of one "
        "space, resample",
        mending.resample(r.path, p.path),
    )


def _order(r: Seen, p: Seen) -> tuple[int, ...] | None:
    """The order of the prediction's axes that gives the reference's shape; the reverse if many."""
    if sorted(r.shape) != sorted(p.shape):
        return None
    orders = [
        o for o in permutations(range(len(r.shape))) if tuple(p.shape[i] for i in o) == r.shape
    ]
    reverse = tuple(reversed(range(len(r.shape))))
    return reverse if reverse in orders else orders[0]


def _of_headers(r: Seen, p: Seen, given: Sequence[Path]) -> tuple[str, str, str] | None:
    if r.grid.spacing is None and p.grid.spacing is not None:
        lengths = ",".join(f"{length:g}" for length in p.grid.spacing)
        return (
            "unknown spacing",
            f"{p.path} says {lengths} {p.grid.unit or ''}, and {r.path}, which counts, nothing",
            mending.evaluate(given, "--spacing", lengths),
        )
    difference = io.grid_difference(r.grid, p.grid)
    if difference is None:
        return None
    detail = f"{p.path}: {difference}"
    ours, theirs = io.orientation(r.grid), io.orientation(p.grid)
    if difference.startswith("spacing"):
        ignoring = mending.evaluate(given, "--allow-spacing-mismatch")
        return "spacing", f"{detail}; if only the header is wrong", ignoring
    if ours != theirs:
        return "orientation", f"{detail}; {theirs} against {ours}", mending.reorient(r.path, p.path)
    return "position", detail, mending.resample(r.path, p.path)
