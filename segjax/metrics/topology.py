"""Topology metrics: whether a prediction hangs together as the reference does.

Functions of the sizes of two skeletons (`Skeletons`), or of the Betti numbers of two masks
(`Topology`), with any leading axes, which they keep. Voxels that share as little as a corner
are connected; the background is connected through faces alone.
"""

from functools import partial
from typing import Any, TypeAlias

from jaxtyping import Float, Int

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace, ratio
from segjax.metrics._metric import Metric
from segjax.statistics import Skeletons, Topology


Scores: TypeAlias = Float[AnyArray, "*batch"]
Counts: TypeAlias = Int[AnyArray, "*batch"]


def topological_precision(s: Skeletons) -> Scores:
    """Topological precision, share of the prediction's skeleton that is in the reference.

    |S(P) and R| / |S(P)|. Undefined if the prediction does not have the label.

    References:
        Shit, S. et al. (2021). clDice: a novel topology-preserving loss function for tubular
        structure segmentation. CVPR, 16560-16569. doi:10.1109/CVPR46437.2021.01629
    """
    return ratio(s.prediction_inside, s.prediction)


def topological_sensitivity(s: Skeletons) -> Scores:
    """Topological sensitivity, share of the reference's skeleton that is in the prediction.

    |S(R) and P| / |S(R)|. Undefined if the reference does not have the label.

    References:
        Shit et al. (2021); see `topological_precision`.
    """
    return ratio(s.reference_inside, s.reference)


def cldice(s: Skeletons) -> Scores:
    """Centreline Dice (clDice): harmonic mean of topological precision and sensitivity.

    2 T T' / (T + T'), of the precision T and the sensitivity T'. 0 if both are, or if one of
    the masks is empty: nothing is found then, as for Dice. Undefined if neither reference nor
    prediction has the label.

    In the plane the skeletons are scikit-image's, as in Metrics Reloaded and panoptica, and so
    are the scores; these are NaN where the skeletons miss both masks. In space skeletons, and
    scores, may differ by some voxels: see `segjax.ops.skeleton`.

    References:
        Shit et al. (2021); see `topological_precision`.
    """
    xp, t, t_ = namespace(s.reference), topological_precision(s), topological_sensitivity(s)
    found = ratio(2 * t * t_, t + t_)
    return xp.where(xp.isnan(found) & (s.reference + s.prediction > 0), 0, found)


def betti_error(t: Topology, *, dimension: float | int | str = "all") -> Counts:
    """Betti error: sum over k of |b_k(R) - b_k(P)|, of the Betti numbers b_k.

    b_0 counts components; in the plane b_1 counts holes, in space b_1 tunnels and b_2 cavities.
    Only numbers are compared, not places. 0 if neither reference nor prediction has the label.

    Args:
        t: Betti numbers of both.
        dimension: "all", or the only k to compare.

    Raises:
        InputError: if there is no such dimension.

    References:
        Hu, X., Li, F., Samaras, D. & Chen, C. (2019). Topology-preserving deep image
        segmentation. NeurIPS 32. arXiv:1906.05404
    """
    errors = abs(t.reference - t.prediction)
    if dimension == "all":
        return errors.sum(-1)
    known = range(errors.shape[-1])
    if dimension not in known:
        raise InputError(
            f"dimension must be all or one of {', '.join(map(str, known))} in an image of "
            f"{len(known)} axes, got {dimension!r}"
        )
    return errors[..., int(dimension)]


def euler_error(t: Topology) -> Counts:
    """Euler error: |X(R) - X(P)|, of the Euler characteristics X = b_0 - b_1 + b_2.

    Errors of different dimension may cancel: a component and a hole too many are no error.
    0 if neither reference nor prediction has the label.

    References:
        Serra, J. (1982). Image Analysis and Mathematical Morphology. Academic Press,
        chapter 6.
    """
    return abs(_euler(t.reference) - _euler(t.prediction))


def _euler(betti: Any) -> Any:
    return betti[..., ::2].sum(-1) - betti[..., 1::2].sum(-1)


_score = partial(Metric, statistic=Skeletons, best=1.0, worst=0.0)
_error = partial(Metric, statistic=Topology, best=0.0, worst=float("inf"), unit="object")

METRICS = (
    _score(
        function=cldice,
        aliases=(
            "clDice",
            "CentreLineDSC",
            "centreline_dsc",
            "centerline Dice",
            "centerline Dice score",
            "centreline Dice score",
        ),
    ),
    _score(
        function=topological_precision,
        aliases=("TopologyPrecision", "topology precision", "Tprec"),
    ),
    _score(
        function=topological_sensitivity,
        aliases=("TopologySensitivity", "topology sensitivity", "Tsens"),
    ),
    _error(function=betti_error, aliases=("Betti number error", "Betti numbers error")),
    _error(
        function=euler_error,
        aliases=("Euler characteristic error", "Euler number error"),
    ),
)
