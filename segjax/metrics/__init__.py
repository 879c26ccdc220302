"""Metrics by family, and the catalogue of all of them."""

from functools import lru_cache

from segjax.metrics import (
    _metric,
    agreement,
    boundary,
    calibration,
    instance,
    overlap,
    topology,
)
from segjax.metrics._metric import (
    Documented as Documented,
    Metric as Metric,
    length_unit as length_unit,
    sentences as sentences,
)


METRICS: tuple[Metric, ...] = (
    *overlap.METRICS,
    *boundary.METRICS,
    *agreement.METRICS,
    *instance.METRICS,
    *topology.METRICS,
    *calibration.METRICS,
)
_BY_NAME = _metric.index(METRICS)
_BY_NAME |= _metric.composed(boundary.COMPOSED, _BY_NAME)


@lru_cache(maxsize=1024)
def get_metric(name: str) -> Metric:
    """Find a metric by name or alias, whatever the case and punctuation.

    Options stand in brackets: "f_beta(beta=2)", "dice(average=macro)". A tolerance may follow
    an @, with the unit it is in: "nsd@2mm".

    Raises:
        InputError: if no metric has that name (the message offers the nearest ones), or it
            has no such option.

    Example:
        >>> get_metric("DSC").name
        'dice'
        >>> get_metric("F-beta(beta=2)").name
        'f_beta(beta=2)'
        >>> get_metric("nsd@2mm").name, get_metric("HD95").name
        ('nsd(tolerance=2)', 'hausdorff(percentile=95)')
    """
    return _metric.resolve(name, _BY_NAME)
