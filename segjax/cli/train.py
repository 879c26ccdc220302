"""`segjax train`: weights for `segjax assess`, from simulation or annotated images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from segjax._errors import InputError
from segjax.cli._hosts import joined_hosts, on_hosts
from segjax.cli._text import split


_PRESETS = ("nuclei-2d", "nuclei-2d-paper", "nuclei-3d")


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the log, checkpoints and weights.npz.",
)
@click.option(
    "--preset",
    type=click.Choice(_PRESETS),
    default="nuclei-2d",
    show_default=True,
    help="What to simulate, and the network.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of your own images, to train on instead of simulated ones.",
)
@click.option("--labels", type=click.Path(path_type=Path), help="Their true label maps.")
@click.option("--diameter", type=float, help="Of the objects in your images, in pixels.")
@click.option("--channel", metavar="N|mean", help="Which colour of images that have several.")
@click.option("-t", "--targets", metavar="A,B,..", help="Scores to predict; see --help of assess.")
@click.option("--start", metavar="NAME|FILE", help="Weights to go on from.")
@click.option("--steps", type=click.IntRange(min=1), help="Updates.")
@click.option("--batch", type=click.IntRange(min=1), help="Pairs per update.")
@click.option("--learning-rate", type=click.FloatRange(min=0), help="At its highest.")
@click.option("--patience", type=click.IntRange(min=1), help="Validations without a gain.")
@click.option("--validate-every", type=click.IntRange(min=1), help="Updates between validations.")
@click.option("--seed", type=int, help="Of the weights and of all that is drawn.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --output.")
@on_hosts
@click.option("-q", "--quiet", is_flag=True, help="Print nothing on the way.")
def train(
    output: Path,
    preset: str,
    images: Path | None,
    labels: Path | None,
    diameter: float | None,
    channel: str | None,
    targets: str | None,
    start: str | None,
    resume: bool,
    hosts: str | None,
    host_id: int | None,
    host_count: int | None,
    quiet: bool,
    **changes: Any,
) -> int:
    """Train a network that predicts scores, for `segjax assess --weights OUTPUT/weights.npz`.

    All pairs are made on the device; a run that was stopped goes on with --resume to the same
    losses.

    \b
    segjax train -o run/
    segjax train -o own/ --images images/ --labels truth/ --start nuclei-2d --steps 2000
    """  # noqa: D301
    if (images is None) != (labels is None):
        raise InputError("give both --images and --labels, or neither")
    joined_to = joined_hosts(hosts, host_id, host_count)

    from segjax.cli.assess import channel_of
    from segjax.quality.annotated import read_pools
    from segjax.quality.presets import PRESETS
    from segjax.quality.producing import make_assessor
    from segjax.quality.training import train as train_
    from segjax.quality.weights import load_weights, save_weights

    training = PRESETS[preset]
    names = split(targets)
    if names:
        training = training.of_targets(tuple(names))
    chosen = {name: value for name, value in changes.items() if value is not None}
    training = replace(training, **chosen)
    pools = None
    if images is not None and labels is not None:
        patch = training.pairs.nuclei.shape
        pools = read_pools(images, labels, patch, diameter=diameter, channel=channel_of(channel))
    first = None if start is None else load_weights(start)
    trained = train_(
        training,
        output=output,
        resume=resume,
        pools=pools,
        start=first,
        on_progress=_print if joined_to.first and not quiet else None,
    )
    data = "simulated nuclei" if images is None else f"images annotated by a user ({images.name})"
    assessor = make_assessor(trained, name=output.name, data=data, pools=pools)
    if not joined_to.first:
        return 0
    path = output / "weights.npz"
    save_weights(path, assessor)
    for metric, result in assessor.card.results.items():
        plain = result["predicting the mean"]["mae"]
        click.echo(
            f"{metric:6} on held-out pairs: r {result['r']:.3f}, mean absolute error "
            f"{result['mae']:.3f} (predicting the mean: {plain:.3f})"
        )
    click.echo(f"weights  {path}")
    return 0


def _print(progress: Any) -> None:
    scores = ", ".join(
        f"{name} r {result.r:.3f} mae {result.mae:.3f}"
        for name, result in progress.validation.items()
    )
    click.echo(
        f"{progress.step}/{progress.steps} updates, {progress.rate:.0f} pairs/s, loss "
        f"{progress.loss:.4f}; held out: {scores}"
    )
