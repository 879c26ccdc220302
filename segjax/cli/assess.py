"""`segjax assess`: how good segmentations probably are, without a ground truth."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import click

from segjax._errors import InputError
from segjax.cli._options import numbers
from segjax.cli._progress import Progress
from segjax.cli._text import shown, split


_MOST = 30  # rows of the table that is printed


@click.command()
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("labels", type=click.Path(path_type=Path))
@click.option(
    "-m",
    "--metric",
    default="SEG",
    show_default=True,
    metavar="A,B,..",
    help="What to predict; the first orders the page.",
)
@click.option(
    "--weights",
    metavar="NAME|FILE",
    help="Of the network: a name that comes with segjax, or a file that `segjax train` wrote.  "
    "[default: those that suit the images]",
)
@click.option(
    "--diameter",
    type=float,
    help="Of the objects in pixels; by default the median of those segmented.",
)
@click.option("--spacing", metavar="Z,Y,X", help="Voxel size of volumes along each array axis.")
@click.option("--channel", metavar="N|mean", help="Which colour of images that have several.")
@click.option("--relabel", is_flag=True, help="Take each connected piece of a label as an object.")
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Label maps that are true, of some of the images: corrects scores, makes intervals.",
)
@click.option(
    "--coverage",
    type=float,
    default=0.9,
    show_default=True,
    help="How often intervals are to hold the true score.",
)
@click.option(
    "--averaging",
    type=click.Choice(["1", "2", "4", "8"]),
    default="4",
    show_default=True,
    help="Flipped and turned views of each patch: more are slower and steadier.",
)
@click.option("--per-object", is_flag=True, help="Also score single objects (objects.csv).")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for scores.csv, summary.json and the page triage.html.",
)
@click.option("--resume", is_flag=True, help="Finish an earlier run in the same --output.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def assess(
    context: click.Context,
    images: Path,
    labels: Path,
    metric: str,
    spacing: str | None,
    channel: str | None,
    averaging: str,
    as_json: bool,
    quiet: bool,
    output: Path | None,
    resume: bool,
    weights: str | None,
    calibrate: Path | None,
    **rest: Any,
) -> int:
    """Predict how good segmentations are from the images alone: no ground truth is needed.

    IMAGES and LABELS are two folders, paired by name, or two files. Scores are guesses of a
    network, with intervals and flags; they say what to look at first.

    \b
    segjax assess images/ labels/ -o out/
    segjax assess images/ labels/ --diameter 30 --calibrate annotated/ -o out/
    segjax leaderboard otsu=a/scores.csv unet=b/scores.csv
    """  # noqa: D301
    given = numbers(spacing, "--spacing")
    chosen = channel_of(channel)
    metrics = split(metric)
    if not metrics:
        raise InputError("--metric names none; e.g. SEG")

    from segjax.quality import folders

    options = folders.Options(spacing=given, channel=chosen, averaging=int(averaging), **rest)
    typed = shlex.join(["segjax", *context.find_root().obj])
    with Progress(hidden=quiet or as_json) as progress:
        report = folders.run(
            images,
            labels,
            metrics,
            options,
            output=output,
            resume=resume,
            weights=weights,
            calibrate=calibrate,
            progress=progress.update,
            command=typed,
        )
    if as_json:
        click.echo(report.assessments.to_json())
    else:
        _print(report)
    return 0


def channel_of(text: str | None) -> int | str | None:
    """Which colour: a number, or "mean"."""
    if text is None or text == "mean":
        return text
    if not text.isdecimal():
        raise InputError(f"--channel takes a number from 0 up, or mean; got {text!r}")
    return int(text)


def _print(report: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = report.assessments
    console = Console(width=max(shutil.get_terminal_size().columns, 120), emoji=False)
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    drawn.add_column("image, worst first", overflow="fold")
    for metric in table.metrics:
        drawn.add_column(escape(f"predicted {metric}"), justify="right", no_wrap=True)
        drawn.add_column("interval", justify="right", no_wrap=True)
    drawn.add_column("objects", justify="right", no_wrap=True)
    drawn.add_column("flags", overflow="fold")
    order = table.worst_first()
    for i in order[:_MOST]:
        a = table.assessments[i]
        cells = []
        for score in a.scores.values():
            cells += [_digits(score.value), f"{_digits(score.low)} to {_digits(score.high)}"]
        name = escape(shown(table.cases[i]))
        drawn.add_row(name, *cells, str(a.segmented), escape("; ".join(a.flags)))
    reused = f", {report.reused} from the earlier run" if report.reused else ""
    click.echo(f"{len(table)} {'image' if len(table) == 1 else 'images'}{reused}")
    for note in table.notes:
        click.echo(f"note: {shown(note)}", err=True)
    with console.capture() as printed:
        console.print(drawn, highlight=False)
    click.echo(printed.get(), nl=False)
    if len(order) > _MOST:
        click.echo(f"and {len(order) - _MOST} more")
    for kind, path in report.files.items():
        click.echo(f"{kind:8} {shown(str(path))}")


def _digits(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"
