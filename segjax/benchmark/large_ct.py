"""HD of one organ in a large CT: the task by which tools for GPUs are compared."""

from statistics import median
from typing import Any

import jax

import segjax
from segjax.benchmark import drawing
from segjax.benchmark.timing import timed


# Per case, as the authors of the last report it, on their own GPU and images.
REPORTED = (
    ("MONAI", "723 to 1,700 ms"),
    ("cuCIM", "22 to 25 ms"),
    ("DisTorch", "27 to 34 ms"),
)
SPACING = (2.5, 0.8, 0.8)  # mm


def measure_large_ct(rounds: int = 5, *, quick: bool = False, seed: int = 0) -> dict[str, Any]:
    """Time per case, from masks on the default device to the HD.

    Returns:
        "shape", "spacing", the median "wall_ms" and "first_call_s", and what others report.
    """
    side, slices = (96, 24) if quick else (512, 256)
    first = (side - slices) // 2
    masks = [x[first : first + slices] for x in drawing.balls(seed, side, 3)]
    r, p = jax.device_put(masks)
    work = lambda: segjax.evaluate(
        reference=r, prediction=p, metrics=["hausdorff"], spacing=SPACING
    )
    first_call = timed(work)[1]
    return {
        "shape": list(r.shape),
        "spacing": list(SPACING),
        "first_call_s": round(first_call, 3),
        "wall_ms": round(1e3 * median(timed(work)[1] for _ in range(rounds)), 1),
        "reported": dict(REPORTED),
    }
