"""`segjax leaderboard`: from files of scores to a board, and back to see whether it holds."""

import dataclasses
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from segjax._errors import InputError
from segjax.cli._text import shown, split


_CONFIGS = (".yaml", ".yml", ".toml")


class _Board(click.Group):
    """Takes what is no name of a subcommand as sources of scores."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["board", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Board)
def leaderboard() -> None:
    """Rank methods by their scores, and say how far to trust the order."""


@leaderboard.command("board")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-m", "--metrics", metavar="A,B,..", help="Metrics, in this order; default: all.")
@click.option("-l", "--labels", metavar="A,B,..", help="Labels, in this order; default: all.")
@click.option(
    "--metadata", type=click.Path(path_type=Path), help="CSV or JSON with columns of the cases."
)
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="COLUMN[:BINS]",
    help="Also judge slices of the cases, e.g. organ, or size:3 for three bins of a number.",
)
@click.option("--clusters", metavar="COLUMN", help="Cases of a cluster (patient) go together.")
@click.option("--strata", metavar="COLUMN", help="Resample within each value of a column.")
@click.option("--within", is_flag=True, default=None, help="Resample within clusters, too.")
@click.option(
    "--statistic", metavar="mean|median|q0.1", help="What models are ranked by.  [default: mean]"
)
@click.option("--level", type=float, help="Of the intervals.  [default: 0.95]")
@click.option(
    "--interval",
    metavar="METHOD",
    help="percentile, expanded percentile, basic, bca, studentized or t.  [default: studentized, "
    "or t for few clusters]",
)
@click.option(
    "--verdict",
    metavar="TEST",
    help="max_t, permutation, sign_flip, wilcoxon or bonferroni.  [default: max_t]",
)
@click.option(
    "--missing",
    metavar="POLICY",
    help="What a missing score counts as: worst, drop-case or fail.  [default: worst]",
)
@click.option(
    "--undefined",
    metavar="POLICY",
    help="What 0/0 counts as where others found something: best, worst, drop-case or fail.  "
    "[default: best]",
)
@click.option(
    "--worst", multiple=True, metavar="METRIC=VALUE", help="What a missing score counts as."
)
@click.option(
    "--failure", multiple=True, metavar="METRIC=VALUE", help="Score at which a case has failed."
)
@click.option(
    "--contaminated",
    multiple=True,
    metavar="MODEL",
    help="A model trained on these cases: shown, and not ranked.",
)
@click.option("--replicates", type=int, help="Resamples of the bootstrap.  [default: 100000]")
@click.option("--permutations", type=int, help="Of the test.  [default: 10000]")
@click.option("--minimum-n", type=int, help="Grey slices of fewer cases.  [default: 10]")
@click.option("--seed", type=int, help="Makes the board reproducible.  [default: 0]")
@click.option(
    "--calibrate", is_flag=True, default=None, help="Simulate how often the board is right."
)
@click.option("--compat", metavar="segauge", help="The numbers that segauge would print.")
@click.option("--title", help="Of the page.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for leaderboard.json, .csv, .md, .tex and index.html.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the board as JSON.")
@click.pass_context
def make(
    context: click.Context,
    sources: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    contaminated: tuple[str, ...],
    **given: Any,
) -> int:
    """Rank methods by their scores, and say how far to trust the order.

    A SOURCE is a folder written by `segjax evaluate`, a CSV or JSON file of scores (long or wide,
    of one model or many, or results of segauge-benchmark), NAME=PATH to name the model; or one
    configuration file (.yaml, .toml) that says all.

    \b
    segjax leaderboard unet=runs/unet otsu=runs/otsu -o board/
    segjax leaderboard scores.csv --slice organ --clusters patient --calibrate -o board/
    segjax leaderboard board.yaml -o board/
    segjax leaderboard verify board/leaderboard.json
    """  # noqa: D301
    given |= {
        "metrics": _tuple(given["metrics"], "--metrics"),
        "labels": _tuple(given["labels"], "--labels"),
        "slices": tuple(_slice(text) for text in given["slices"]) or None,
        "worst": _values(given["worst"], "--worst"),
        "failure": _values(given["failure"], "--failure"),
    }
    from segjax._compiling import keep_compiled
    from segjax.leaderboard import config as configs, writing
    from segjax.leaderboard.boards import board
    from segjax.leaderboard.slices import Slice

    keep_compiled()
    if given["slices"] is not None:
        given["slices"] = tuple(Slice(*each) for each in given["slices"])
    config = _config(sources)
    config = dataclasses.replace(config, **{k: v for k, v in given.items() if v is not None})
    config = _excluding(config, contaminated)
    config.settled()  # before anything is read
    if output is not None:
        writing.check_writable(output)
    typed = shlex.join(["segjax", *context.find_root().obj])
    found = board(configs.read_all(config), config, title=config.title, command=typed)
    files = {} if output is None else writing.write(output, found)
    if as_json:
        click.echo(found.to_json(), nl=False)
    else:
        print_board(found.document, files)
    return 0


@leaderboard.command()
@click.argument("path", type=click.Path(path_type=Path))
def verify(path: Path) -> int:
    """Recompute a leaderboard.json from the scores in it; exit with 1 if anything differs."""
    from segjax._compiling import keep_compiled
    from segjax.leaderboard import verification

    keep_compiled()
    document = verification.read_document(path)
    wrong = verification.verify(document)
    for line in wrong[:20]:
        click.echo(shown(line), err=True)
    if len(wrong) > 20:
        click.echo(f"and {len(wrong) - 20} more", err=True)
    if wrong:
        return 1
    results = document["results"]
    click.echo(
        f"{shown(str(path))}: all numbers of {len(document['models'])} models and "
        f"{len(results)} {'measure' if len(results) == 1 else 'measures'} follow from the scores"
    )
    return 0


def _config(sources: tuple[str, ...]) -> Any:
    from segjax.leaderboard.config import Config, Entry, read_config

    if len(sources) == 1 and sources[0].lower().endswith(_CONFIGS):
        return read_config(sources[0])
    wrong = next((s for s in sources if s.lower().endswith(_CONFIGS)), None)
    if wrong is not None:
        raise InputError(f"{wrong}: a configuration says all; give no other source beside it")
    entries = []
    for source in sources:
        name, equals, path = source.partition("=")
        named = equals and not Path(source).exists()
        if named and not (name.strip() and path):
            raise InputError(f"{source}: names no model or no file; give NAME=PATH")
        entries.append(Entry(name if named else None, Path(path if named else source)))
    return Config(models=tuple(entries))


def _excluding(config: Any, contaminated: tuple[str, ...]) -> Any:
    from segjax.leaderboard.config import Entry

    if not contaminated:
        return config
    named = {entry.name for entry in config.models}
    others = [Entry(name, None) for name in dict.fromkeys(contaminated) if name not in named]
    models = [
        dataclasses.replace(entry, facts=dataclasses.replace(entry.facts, contaminated=True))
        if entry.name in contaminated
        else entry
        for entry in (*config.models, *others)
    ]
    return dataclasses.replace(config, models=tuple(models))


def _tuple(text: str | None, option: str) -> tuple[str, ...] | None:
    names = split(text)
    if names == []:
        raise InputError(f"{option} names none; leave it out for all of them")
    return None if names is None else tuple(names)


def _slice(text: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(.+):(\d{1,3})", text)
    return (found[1], int(found[2])) if found else (text, None)


def _values(texts: tuple[str, ...], option: str) -> dict[str, float] | None:
    found = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            name = ""
        if not name:
            raise InputError(f"{option} takes METRIC=VALUE, e.g. hd95=250; got {text!r}")
    return found or None


def print_board(document: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Print a table and a verdict for each measure, and where the files are."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from segjax.report.board import spoken_verdicts

    name = lambda text: escape(shown(str(text)))
    wide = max(shutil.get_terminal_size().columns, 120)
    console = Console(width=wide, emoji=False)  # a name may hold :colons:
    level = f"{100 * document['options']['level']:g} % interval"
    units = {m["name"]: m["unit"] for m in document["measures"]}
    words = spoken_verdicts(document)
    with console.capture() as printed:
        for result in document["results"]:
            unit = units[result["measure"]]
            table = Table(box=None, header_style="bold", pad_edge=False)
            table.add_column(
                name(f"{result['measure']} [{unit}]" if unit else result["measure"]),
                overflow="fold",
            )
            heads = ("rank", "tier", document["options"]["statistic"], level, "percentile")
            for head in (*heads, "n", "filled", "P(rank 1)", "rank set"):
                table.add_column(head, justify="right", no_wrap=True)
            for row in result["table"]:
                table.add_row(name(row["model"]), *_cells(row))
            console.print(table, highlight=False)
            console.print(name(words[result["measure"]]), highlight=False, soft_wrap=True)
            console.print()
        for text in (document["calibration"] or {}).get("words", ()):
            console.print(name(text), highlight=False, soft_wrap=True)
    for note in document["notes"]:
        click.echo(f"note: {shown(note)}", err=True)
    click.echo(printed.get(), nl=False)
    for kind, path in files.items():
        click.echo(f"{kind:8} {shown(str(path))}")


def _cells(row: Mapping[str, Any]) -> list[str]:
    number = lambda v: "-" if v is None else f"{v:.4g}" if abs(v) >= 1000 else f"{v:.4f}"
    ends = lambda i: "-" if i is None else f"{number(i['low'])} to {number(i['high'])}"
    counted = [str(row["n"]), str(row["n_filled"])]
    scored = [number(row["estimate"]), ends(row["interval"]), ends(row["percentile"])]
    if row["excluded"]:
        return ["-", str(row["excluded"]), *scored, *counted, "-", "-"]
    low, high = row["set_low"], row["set_high"]
    return [
        f"{row['rank']:g}",
        str(row["tier"]),
        *scored,
        *counted,
        f"{row['p_best']:.3f}",
        str(low) if low == high else f"{low} to {high}",
    ]
