"""The command line: parse, call one function, print.

Nothing here imports jax before a command needs it, so that `--help` is quick.
"""

import io
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from segjax._errors import InputError
from segjax._version import __version__
from segjax.cli import _gates
from segjax.cli._hosts import joined_hosts, leave_if_missed, on_hosts, without_hosts
from segjax.cli._options import numbers
from segjax.cli._progress import Progress
from segjax.cli._text import shown, split
from segjax.cli.assess import assess
from segjax.cli.bench import bench
from segjax.cli.compare import compare
from segjax.cli.doctor import doctor
from segjax.cli.explain import explain
from segjax.cli.leaderboard import leaderboard, print_board
from segjax.cli.train import train


PASS, GATE_FAILED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Returns:
        The exit status: 0 passed, 1 a gate failed, 2 the input or the usage was wrong.
    """
    # What tifffile logs about a damaged file would stand above the one line that says it all.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    if "_SEGJAX_COMPLETE" in os.environ:
        return _complete(os.environ["_SEGJAX_COMPLETE"])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name the terminal cannot show is no reason
            stream.reconfigure(errors="backslashreplace")  # to fail
    try:
        # Not click's own main: it adds lines to standard error, and an opinion on pipes.
        typed = list(arguments) or ["--help"]
        with command.make_context("segjax", list(typed), obj=typed) as context:
            return command.invoke(context) or PASS
    except InputError as error:
        _complain(str(error))
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "segjax"
        _complain(f"{error.format_message().rstrip('.')}; see {path} --help")
    except (KeyboardInterrupt, click.Abort):
        _complain("stopped; run again, with --resume if there is an --output to finish")
    except BrokenPipeError:
        _let_go_of_the_pipe()
        return PASS
    except MemoryError:
        _complain("out of memory; crop the images or score fewer at a time")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}; free some space or choose another place")
    leave_if_missed(BAD_INPUT)
    return BAD_INPUT


def _complete(instruction: str) -> int:
    """What the shell asks when somebody types a tab, or its script for asking."""
    from click.shell_completion import shell_complete

    return shell_complete(command, {}, "segjax", "_SEGJAX_COMPLETE", instruction)


def _complain(text: str) -> None:
    click.echo(f"segjax: {shown(text)}", err=True)


def _let_go_of_the_pipe() -> None:
    """The reader has gone, which is no mistake; nor is the flush at exit to fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def command() -> None:
    """Judge image segmentations: exact metrics, honest intervals, a page a person reads."""


@command.command()
@click.argument("reference", type=click.Path(path_type=Path), required=False)
@click.argument("prediction", type=click.Path(path_type=Path), required=False)
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    metavar="PAIRS.CSV",
    help="List of pairs instead of two folders: reference,prediction or case,reference,prediction.",
)
@click.option(
    "-m", "--metrics", help="Names, separated by commas; see `segjax metrics`.", metavar="A,B,.."
)
@click.option(
    "-l",
    "--labels",
    metavar="1,2,..|foreground",
    help="Labels to score; foreground takes all that is not background as one.",
)
@click.option(
    "--label-names",
    type=click.Path(path_type=Path),
    help="File with the names of the labels (JSON, YAML, CSV, nnU-Net's dataset.json).",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="NAME=1,2,..",
    help="Also score these labels as one, e.g. tumour=1,2,3.",
)
@click.option(
    "--spacing",
    metavar="Z,Y,X",
    help="Voxel size along each array axis, instead of what the files say.",
)
@click.option("--ignore", type=int, help="Label of the references whose voxels are not counted.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for scores.csv, summary.json and report.html; objects.csv too, if labels are "
    "objects.",
)
@click.option("--resume", is_flag=True, help="Finish an earlier run in the same --output.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the images that were segmented, to lay the pictures of the page over.",
)
@click.option(
    "--surface",
    type=click.Choice(["voxel", "surfel", "mesh"]),
    default="voxel",
    show_default=True,
    help="What surfaces are made of: voxels (MONAI, medpy), surfels (DeepMind), or a mesh "
    "between voxels (nearest to the truth).",
)
@click.option(
    "--relabel",
    is_flag=True,
    help="Take each connected piece of a label as an object: for masks, or ids in two places.",
)
@click.option(
    "--missing-as-empty",
    is_flag=True,
    help="Count references without a prediction as if nothing had been found.",
)
@click.option(
    "--undefined",
    type=click.Choice(["omit", "best", "worst", "fail"]),
    default="omit",
    show_default=True,
    help="What a score of 0/0 counts as, where there is nothing to find.",
)
@click.option(
    "--missing",
    type=click.Choice(["diagonal", "worst", "omit", "fail"]),
    default="diagonal",
    show_default=True,
    help="What a score of 0/0 counts as, where nothing was predicted and something is there.",
)
@click.option(
    "--fail-under",
    multiple=True,
    metavar="METRIC=VALUE",
    help="Exit with 1 if the mean is worse, e.g. dice=0.8, dice.ci_low=0.75 (end of the interval).",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="Earlier run, for --max-drop: its folder, or its summary.json.",
)
@click.option(
    "--max-drop",
    multiple=True,
    metavar="METRIC=VALUE",
    help="Exit with 1 if the mean is worse than the baseline's by more, e.g. dice=0.005.",
)
@click.option(
    "--format",
    "printed",
    type=click.Choice(["csv", "json", "nnunet", "grand-challenge"]),
    help="Print that instead of a table; with --output also write nnunet_summary.json or "
    "metrics.json.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@on_hosts
@click.option("--allow-spacing-mismatch", is_flag=True, help="Score files whose headers disagree.")
@click.option("--max-voxels", type=click.IntRange(min=1), help="Refuse larger files.")
@click.option(
    "--tile",
    metavar="N|Z,Y,X",
    help="Read Zarr, TIFF and .npy in tiles of so many voxels a side: never the whole in memory. "
    "Large images are, unasked.",
)
@click.option("--replicates", type=click.IntRange(min=1), help="Resamples of the bootstrap.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def evaluate(
    context: click.Context,
    reference: Path | None,
    prediction: Path | None,
    manifest: Path | None,
    metrics: str | None,
    labels: str | None,
    label_names: Path | None,
    regions: tuple[str, ...],
    spacing: str | None,
    fail_under: tuple[str, ...],
    baseline: Path | None,
    max_drop: tuple[str, ...],
    printed: str | None,
    as_json: bool,
    quiet: bool,
    output: Path | None,
    resume: bool,
    images: Path | None,
    hosts: str | None,
    host_id: int | None,
    host_count: int | None,
    max_voxels: int | None,
    tile: str | None,
    replicates: int | None,
    **rest: Any,
) -> int:
    """Score predictions against references: two folders, or two files.

    Cases are paired by name; Cell Tracking Challenge folders (01_GT 01_RES) and nnU-Net
    folders are recognised. {id} in both paths says where the name of a case stands.

    \b
    segjax evaluate labels/ predictions/ -o out/
    segjax evaluate 01_GT 01_RES
    segjax evaluate a.nii.gz b.nii.gz -m dice,iou --labels 1,2
    segjax evaluate "labels/*/{id}_gt.png" "predictions/{id}.png"
    segjax evaluate --manifest pairs.csv
    """  # noqa: D301
    sizes = {"max_voxels": max_voxels, "replicates": replicates}
    rest |= {name: size for name, size in sizes.items() if size is not None}
    gates = [_gates.gate(text, "--fail-under") for text in fail_under]
    drops = [_gates.drop(text) for text in max_drop]
    if bool(drops) != (baseline is not None):
        raise InputError("--baseline and --max-drop go together; give both, or neither")
    first, second = _paths(reference, prediction, manifest)
    wanted_regions = _regions(regions)
    wanted_labels = _labels(labels)
    wanted_spacing = numbers(spacing, "--spacing")
    wanted_tile = _tile(tile)
    joined_to = joined_hosts(hosts, host_id, host_count)

    from segjax import folder
    from segjax.folder.formats import FORMATS
    from segjax.io import Labelling, read_labelling, write_atomic

    before = None if baseline is None else _gates.read_baseline(baseline)
    labelling = Labelling() if label_names is None else read_labelling(label_names)
    if labelling.ignore is not None and rest["ignore"] is None:
        rest["ignore"] = labelling.ignore
    names = split(metrics)
    options = folder.Options(
        metrics=None if names is None else tuple(names),
        also=tuple(one.metric for one in (*gates, *drops)),
        labels=wanted_labels,
        label_names=labelling.names,
        regions={**labelling.regions, **wanted_regions},
        spacing=wanted_spacing,
        tile=wanted_tile,
        **rest,
    )
    arguments = {"output": output, "resume": resume, "images": images}
    typed = shlex.join(["segjax", *without_hosts(context.obj)])
    shape = FORMATS.get("json" if as_json else printed or "")
    with Progress(hidden=quiet or shape is not None) as progress:
        report = folder.run(
            first,
            second,
            options,
            progress=progress.update,
            command=typed,
            hosts=joined_to,
            **arguments,
        )
    try:
        if not joined_to.first:
            pass
        elif shape is None:
            _print(report)
        else:
            text = shape.write(report.table, report.summary)
            if output is not None and shape.file is not None:
                write_atomic(output / shape.file, text)
            click.echo(text, nl=False)
    except BrokenPipeError:  # the gates have the last word all the same
        _let_go_of_the_pipe()
    for line in () if before is None else _gates.on_baseline(report.summary, before):
        click.echo(f"note: {line}", err=True)
    failed = list(_gates.failures(gates, drops, report.summary, before))
    for line in failed if joined_to.first else ():
        click.echo(f"segjax: gate failed: {line}", err=True)
    return GATE_FAILED if failed else PASS


@command.command()
@click.argument("name", required=False)
@click.pass_context
def metrics(context: click.Context, name: str | None) -> int:
    """List the metrics, one a line; of one, what `segjax explain` says."""
    if name is not None:
        return context.invoke(explain, metrics=(name,), as_json=False)
    from segjax.metrics import METRICS

    width = max(len(m.name) for m in METRICS)
    for metric in METRICS:
        click.echo(f"{metric.name:{width}}  {metric.title}")
    return PASS


@command.command()
@click.argument("what", type=click.Choice(["evaluate", "leaderboard"]), default="evaluate")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("segjax-demo"),
    show_default=True,
    help="Folder for the sample and the report.",
)
@click.option("--open/--no-open", "show", default=False, help="Open the report in a browser.")
def demo(what: str, output: Path, show: bool) -> int:
    """Show what segjax does on a real sample: 24 lung nodules in CT, drawn by four readers.

    \b
    segjax demo               one reader judged by the three others
    segjax demo leaderboard   ranks that reader and four ways to simplify the drawing
    """  # noqa: D301
    page = _demo_leaderboard(output) if what == "leaderboard" else _demo_evaluate(output)
    if show:
        click.launch(str(page))
    return PASS


def _demo_evaluate(output: Path) -> Path:
    from segjax import demo, folder
    from segjax.evaluation import DEFAULT_METRICS

    references, predictions = demo.write_lung_nodules(output)
    typed = ["segjax", "evaluate", str(references), str(predictions), "--labels", "foreground"]
    metrics = (*DEFAULT_METRICS, "hd95", "assd", "nsd@1mm")
    typed += ["-m", ",".join(metrics)]
    with Progress(hidden=False) as progress:
        report = folder.run(
            references,
            predictions,
            folder.Options(labels="foreground", metrics=metrics),
            output=output / "out",
            progress=progress.update,
            command=shlex.join([*typed, "-o", str(output / "out")]),
        )
    _print(report)
    return report.files["report"]


def _demo_leaderboard(output: Path) -> Path:
    from segjax import demo
    from segjax.leaderboard import writing
    from segjax.leaderboard.boards import board
    from segjax.leaderboard.config import read_all, read_config

    path = demo.write_leaderboard(output)
    config = read_config(path)
    out = output / "leaderboard"
    typed = shlex.join(["segjax", "leaderboard", str(path), "-o", str(out)])
    found = board(read_all(config), config, title=config.title, command=typed)
    files = writing.write(out, found)
    print_board(found.document, files)
    click.echo(f"made by  {typed}")
    return files["page"]


command.add_command(assess)
command.add_command(bench)
command.add_command(compare)
command.add_command(doctor)
command.add_command(explain)
command.add_command(leaderboard)
command.add_command(train)


# Reading options.


def _labels(text: str | None) -> Any:
    if text is None or text == "foreground":
        return text
    try:
        labels = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--labels takes integers separated by commas, or foreground, got {text!r}"
        ) from None
    if min(labels) < 0 or len(set(labels)) < len(labels):
        raise InputError(f"--labels takes different integers from 0 up, got {text}")
    return labels


def _tile(text: str | None) -> int | tuple[int, ...] | None:
    if text is None:
        return None
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise InputError(
            f"--tile takes voxels along an axis, or along each separated by commas, got {text!r}"
        )
    return sizes[0] if len(sizes) == 1 else sizes


def _paths(
    reference: Path | None, prediction: Path | None, manifest: Path | None
) -> tuple[Path, Path | None]:
    """References and predictions, or a list of pairs alone."""
    if manifest is not None:
        if reference is not None:
            raise InputError("give two folders, or --manifest, and not both")
        return manifest, None
    if reference is None:
        raise _missing("REFERENCE and PREDICTION, or --manifest")
    if prediction is None and reference.suffix.lower() not in (".csv", ".tsv"):
        raise _missing("PREDICTION")
    return reference, prediction


def _missing(what: str) -> click.UsageError:
    return click.UsageError(f"Missing {what}", click.get_current_context())


def _regions(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    found = {}
    for text in texts:
        name, _, labels = text.partition("=")
        try:
            found[name.strip()] = tuple(int(part) for part in labels.split(","))
        except ValueError:
            raise InputError(
                f"--region takes NAME=1,2,.., e.g. tumour=1,2,3; got {text!r}"
            ) from None
    return found


# Printing.


def _print(report: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    summary = report.summary
    wide = max(shutil.get_terminal_size().columns, 120)  # a wrapped table cannot be read
    console = Console(width=wide)
    one = summary["cases"] == 1
    several = len(summary["labels"]) > 1
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("metric", overflow="fold")  # so that no number is cut short
    if several:
        table.add_column("label")
    columns = ["score"] if one else ["mean", "95 % interval of it", "median", "sd", "n"]
    for column in [*columns, "undefined", "missed", "pooled"]:
        table.add_column(column, justify="right", no_wrap=True)
    for entry in summary["scores"]:
        interval = entry["interval"]
        cells = [_digits(entry["mean"])]
        if not one:
            between = "-" if interval is None else "{low:.4f} to {high:.4f}".format(**interval)
            cells += [between, _digits(entry["median"]), _digits(entry["sd"]), str(entry["n"])]
        cells += [str(entry["n_undefined"]), str(entry["n_missed"]), _digits(entry["pooled"])]
        label = [escape(shown(entry["name"]))] if several else []
        table.add_row(escape(_with_unit(entry["metric"], summary["unit"])), *label, *cells)
    for note in summary["notes"]:
        click.echo(f"note: {shown(note)}", err=True)
    for side in ("reference", "prediction"):
        counted = summary["layout"] == "ctc" or summary["options"]["missing_as_empty"]
        _print_unpaired(side, summary["unpaired"][side], counted)
    reused = f", {report.reused} from the earlier run" if report.reused else ""
    count = f"{summary['cases']} {'case' if one else 'cases'}"
    click.echo(f"{count} ({summary['layout']}){reused}")
    with console.capture() as printed:  # rich itself ends the process if a pipe breaks
        console.print(table, highlight=False)
    click.echo(printed.get(), nl=False)
    for kind, path in report.files.items():
        click.echo(f"{kind:8} {shown(str(path))}")


def _print_unpaired(side: str, names: Sequence[str], counted: bool) -> None:
    if not names:
        return
    other = "prediction" if side == "reference" else "reference"
    some = ", ".join(names[:10]) + (f", and {len(names) - 10} more" if len(names) > 10 else "")
    fate = "counted as empty" if counted and side == "reference" else "not scored"
    click.echo(f"{len(names)} {side}s without a {other}, {fate}: {shown(some)}", err=True)


def _with_unit(name: str, unit: str) -> str:
    from segjax.metrics import get_metric

    known = {"length": unit, "volume": f"{unit}^n", "bit": "bit", "nat": "nat"}
    known |= {"voxel": "voxels", "object": "objects"}
    return f"{name} [{known[kind]}]" if (kind := get_metric(name).unit) else name


def _digits(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.0f}"
