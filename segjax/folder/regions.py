"""Regions: several labels that are scored as one, such as a whole tumour beside its parts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segjax._errors import InputError
from segjax.case import make_case
from segjax.evaluation import measure
from segjax.metrics import Metric, get_metric
from segjax.statistics import Confusion


_COUNTS = get_metric("tp")


class Region(NamedTuple):
    """Labels scored as one; `code` stands for them in tables, below 0 as no label is."""

    code: int
    name: str
    labels: tuple[int, ...]


def make_regions(named: Mapping[str, Sequence[int]]) -> tuple[Region, ...]:
    """Number regions -1, -2, ... in their order.

    Raises:
        InputError: if a region has no labels, or one that is none.
    """
    for name, labels in named.items():
        if not labels or min(labels) < 1:
            raise InputError(f"region {name!r} needs labels from 1 up, got {list(labels)}")
    return tuple(
        Region(-place, name, tuple(labels))
        for place, (name, labels) in enumerate(named.items(), start=1)
    )


def score_region(
    region: Region,
    reference: np.ndarray,
    prediction: np.ndarray,
    metrics: Sequence[Metric],
    *,
    ignore: int | None,
    **options: Any,
) -> tuple[Confusion, dict[str, Any]]:
    """Counts of a region, and the scores that there is one of for each label.

    Args:
        region: what to score.
        reference: the whole label map.
        prediction: the same.
        metrics: to score by.
        ignore: label of the reference whose voxels are not counted.
        **options: for `make_case`.
    """
    r, p = (np.isin(side, region.labels) for side in (reference, prediction))
    valid = None if ignore is None else reference != ignore
    own = make_case(reference=r, prediction=p, labels=(1,), valid=valid, **options)
    wanted = [m for m in metrics if m.per == "label"]
    _, known = measure(own, [_COUNTS, *wanted])
    others = [m for m in wanted if m.statistic is not Confusion]
    volume = own.voxel_volume
    return known[Confusion], {m.name: m(known[m.statistic], voxel_volume=volume) for m in others}
