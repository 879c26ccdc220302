"""`segjax bench`: what segjax costs on this machine, next to its peers."""

import json
import shlex
from pathlib import Path
from typing import Any

import click

from segjax.cli._text import split


@click.command()
@click.option("-w", "--workloads", metavar="A,B,..", help="Which; default: all.")
@click.option("--quick", is_flag=True, help="Small sizes: a look in a minute or two.")
@click.option("--no-peers", is_flag=True, help="segjax alone.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=15, show_default=True, help="Most turns each."
)
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Leave a peer out where a call would take more seconds.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of chance.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for index.html and bench.json, kept up to date while it runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all that was measured as JSON.")
@click.pass_context
def bench(
    context: click.Context,
    workloads: str | None,
    quick: bool,
    no_peers: bool,
    rounds: int,
    limit: float,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """Time segjax at growing sizes, next to every peer that is installed, all in turns.

    Scores are compared before anything is timed. pip install "segjax[bench]" brings the peers;
    with all of them a whole run takes some fifteen minutes.

    \b
    segjax bench --quick
    segjax bench -o bench/
    segjax bench -w boundary-2d,boundary-3d
    """  # noqa: D301
    from segjax import benchmark
    from segjax._compiling import keep_compiled

    keep_compiled()
    options = benchmark.Options(
        workloads=tuple(split(workloads) or ()),
        quick=quick,
        rounds=rounds,
        limit=limit,
        peers=not no_peers,
        seed=seed,
    )
    progress = lambda name, size: click.echo(f"{name}, {size:,}", err=True)
    document: dict[str, Any] = {}
    files: dict[str, Path] = {}
    typed = shlex.join(["segjax", *context.find_root().obj])
    for document in benchmark.benchmark(options, command=typed, progress=progress):
        if output is not None:
            files = benchmark.write(output, document)
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return 0
    _print(document)
    for kind, path in files.items():
        click.echo(f"{kind:9} {path}")
    return 0


def _print(document: dict[str, Any]) -> None:
    """Ours at each size, and the peer that is closest or quicker."""
    from segjax.report.benchmark import OURS, clock_of, quickest

    clock = clock_of(document)
    click.echo(f"{'workload':14} {'size':>9} {clock + ', ms':>10}  segjax / quickest peer")
    for own in (row for row in document["rows"] if row["tool"] == OURS):
        best = quickest(document["rows"], own, clock)
        beside = f"{best[f'{clock}_ratio']:8.3f}  {best['tool']}" if best else ""
        name, size = own["workload"], own["size"]
        click.echo(f"{name:14} {size:9,} {own[f'{clock}_ms']:10.3f}  {beside}".rstrip())
    for one in document["growth"]:
        power = one["exponent" if clock == "cpu" else "exponent_wall"]
        click.echo(
            f"{one['workload']}: grows as N^{power:.2f} from {one['from']:,} to {one['to']:,} "
            f"(N log N: {one['n_log_n']:.2f})"
        )
