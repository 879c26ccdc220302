"""Train for an experiment, or go on where it stopped; the outcome is kept as weights."""

from pathlib import Path

from segjax.quality import Assessor, Training, load_weights, make_assessor, save_weights, train
from segjax.quality.log import Progress


def trained(
    name: str,
    training: Training,
    folder: Path | None,
    *,
    held_out: int,
    start: Assessor | None = None,
) -> Assessor:
    """An assessor of a run, from its file of weights if the run has ended before.

    Args:
        name: of the run, and of its folder in `folder`.
        training: the run.
        folder: where runs are kept; None keeps nothing.
        held_out: pairs to test on, and to calibrate on.
        start: whose weights to start from.
    """
    output = None if folder is None else folder / name
    weights = None if output is None else output / "weights.npz"
    if weights is not None and weights.exists():
        return load_weights(weights)

    def tell(progress: Progress) -> None:
        said = ", ".join(f"{k} r {v.r:.3f} mae {v.mae:.3f}" for k, v in progress.validation.items())
        print(
            f"{name} {progress.step}/{progress.steps} {progress.rate:.0f} pairs/s {said}",
            flush=True,
        )

    done = train(training, output=output, resume=output is not None, start=start, on_progress=tell)
    assessor = make_assessor(done, name=name, test=held_out, calibration=held_out)
    if weights is not None:
        save_weights(weights, assessor)
    return assessor
