"""How close compiled programs come to what the machine's memory and arithmetic allow.

S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52 (4), 2009.
"""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp

from segjax.benchmark import drawing
from segjax.benchmark.machine import bandwidth, peak_flops
from segjax.benchmark.timing import Rows, timed
from segjax.statistics import confusion, contingency, label_confusion


def measure_roofline(rounds: int = 5, *, quick: bool = False, seed: int = 0) -> Rows:
    """Programs that count on the device, against the least time that the machine needs for them.

    Bytes and operations are those of XLA's own analysis of the compiled program; what stays in
    a cache is counted as if it did not. Programs with loops whose length depends on the images
    are not here: the analysis counts one pass.

    Returns:
        Per program: "bytes", "flops", "input_bytes", "wall_ms", "bound_ms", which is the larger
        of bytes over the measured bandwidth and operations over the measured peak, the "bound"
        by which of both, and "share", the bound over the time: 1 is as good as it gets.
    """
    return [
        _placed(name, function, arrays, rounds)
        for name, function, arrays in _programs(256 if quick else 2048, 32 if quick else 256, seed)
    ]


def _programs(
    side: int, cube: int, seed: int
) -> Iterator[tuple[str, Callable[..., Any], tuple[Any, ...]]]:
    masks = lambda r, p: confusion(reference=r, prediction=p)
    yield f"confusion of two masks, {side}^2", masks, drawing.balls(seed, side, 2)
    one = lambda r, p: label_confusion(reference=r, prediction=p, labels=(1,))
    yield f"confusion of one label of maps, {cube}^3", one, drawing.layers(seed, cube, 3, 8)
    table = lambda r, p: contingency(
        reference=r, prediction=p, num_reference=512, num_prediction=512
    )
    yield f"overlaps of 512 x 512 labels, {side}^2", table, drawing.cells(seed, side, 2, 480)
    sums = lambda weights, scores: weights @ scores
    shape = (side * 4, 1000)
    scores = drawing.scores(seed, 20, 1000).T.astype("float32")
    yield f"means of {shape[0]:,} resamples of 1,000 cases", sums, (jnp.ones(shape), scores)


def _placed(
    name: str, function: Callable[..., Any], arrays: tuple[Any, ...], rounds: int
) -> dict[str, Any]:
    given = jax.device_put(arrays)
    program = jax.jit(lambda *x: jax.tree.leaves(function(*x))).lower(*given).compile()
    work = lambda: jax.block_until_ready(program(*given))
    work()
    seconds = median(timed(work)[1] for _ in range(rounds))
    analysis: Any = program.cost_analysis() or {}
    moved, operations = analysis.get("bytes accessed", 0.0), analysis.get("flops", 0.0)
    by_memory, by_arithmetic = moved / bandwidth(), operations / peak_flops()
    bound = max(by_memory, by_arithmetic)
    return {
        "program": name,
        "bytes": int(moved),
        "flops": int(operations),
        "input_bytes": sum(x.nbytes for x in given),
        "wall_ms": round(1e3 * seconds, 3),
        "bound_ms": round(1e3 * bound, 3),
        "bound": "memory" if by_memory >= by_arithmetic else "arithmetic",
        "share": round(bound / seconds, 3),
    }
