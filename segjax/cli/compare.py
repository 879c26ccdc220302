"""`segjax compare`: runs over the same cases, or one model over several data sets."""

import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from segjax._errors import InputError
from segjax.cli._text import shown, split


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="[NAME=]RUN...")
@click.option("-m", "--metrics", metavar="A,B,..", help="Which of them; default: all.")
@click.option("-l", "--labels", metavar="A,B,..", help="Names of labels; default: all.")
@click.option(
    "--datasets", is_flag=True, help="The runs are of other data sets, even if names coincide."
)
@click.option("--level", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--replicates", type=click.IntRange(min=1), help="Resamples of the bootstrap.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of chance.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for comparison.html, .json and .csv.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.pass_context
def compare(
    context: click.Context,
    runs: tuple[str, ...],
    metrics: str | None,
    labels: str | None,
    datasets: bool,
    level: float,
    replicates: int | None,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """Compare RUNS: folders of `segjax evaluate`, or files of scores.

    Runs over the same cases are compared with the first one, case by case, with intervals of
    the mean difference. Runs that share no case are taken as one model over several data sets:
    class by class.

    \b
    segjax compare before=out1/ after=out2/ -o comparison/
    segjax compare hospital-a=out-a/ hospital-b=out-b/ -o comparison/
    """  # noqa: D301
    from segjax import comparison
    from segjax._compiling import keep_compiled
    from segjax.leaderboard.options import Options

    keep_compiled()
    found = comparison.read_runs(runs)
    typed = shlex.join(["segjax", *context.find_root().obj])
    chosen: dict[str, Any] = {
        "metrics": _names(metrics, "--metrics"),
        "labels": _names(labels, "--labels"),
        "command": typed,
    }
    if datasets or not comparison.share_cases(found):
        document = comparison.compare_datasets(found, **chosen)
    else:
        options = Options(level=level, replicates=replicates, seed=seed)
        document = comparison.compare_cases(found, options, **chosen)
    files = {} if output is None else comparison.write(output, document)
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return 0
    for note in document["notes"]:
        click.echo(f"note: {shown(note)}", err=True)
    _print(document)
    for kind, path in files.items():
        click.echo(f"{kind:8} {shown(str(path))}")
    return 0


def _names(text: str | None, option: str) -> list[str] | None:
    names = split(text)
    if names == []:
        raise InputError(f"{option} names none; leave it out for all of them")
    return names


def _print(document: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    heads, rows = (_datasets if document["kind"] == "datasets" else _cases)(document)
    for place, head in enumerate(heads):
        left = place < 2
        table.add_column(head, justify="left" if left else "right", no_wrap=not left)
    for row in rows:
        table.add_row(*row)
    console = Console(width=max(shutil.get_terminal_size().columns, 120), emoji=False)
    with console.capture() as printed:
        console.print(table, highlight=False)
    click.echo(printed.get(), nl=False)


def _cases(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    first = _safe(document["runs"][0])
    level = f"{100 * document['level']:g} % interval"
    heads = ["measure", "run", first, "mean", "difference", level, "p", "better", "worse", "cases"]
    rows = []
    for measure in document["measures"]:
        for place, pair in enumerate(measure["pairs"], start=1):
            ends = pair["interval"]
            between = "-" if ends is None else f"{ends['low']:+.4f} to {ends['high']:+.4f}"
            numbers = [_number(measure["means"][0]), _number(measure["means"][place])]
            counts = [str(pair["better"]), str(pair["worse"]), str(measure["n"])]
            p = "-" if pair["p"] is None else f"{pair['p']:.4f}"
            rows.append(
                [
                    _safe(measure["name"]),
                    _safe(pair["run"]),
                    *numbers,
                    f"{pair['difference']:+.4f}",
                    between,
                    p,
                    *counts,
                ]
            )
    return heads, rows


def _datasets(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for metric in document["metrics"]:
        for one in metric["classes"]:
            cells = ["-" if row is None else _number(row["mean"]) for row in one["rows"]]
            rows.append([metric["metric"], _safe(one["name"] or "all classes"), *cells])
    return ["metric", "class", *map(_safe, document["runs"])], rows


def _safe(text: object) -> str:
    from rich.markup import escape

    return escape(shown(str(text)))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
