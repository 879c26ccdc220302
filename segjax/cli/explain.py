"""`segjax explain`: what a metric means here, and which tools agree."""

import json
import shutil
import textwrap
from collections.abc import Sequence

import click


def _complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    from segjax.metrics import METRICS

    return [m.name for m in METRICS if m.name.startswith(begun)]


@click.command()
@click.argument("metrics", nargs=-1, shell_complete=_complete)
@click.option("--json", "as_json", is_flag=True, help="Print records as JSON.")
def explain(metrics: tuple[str, ...], as_json: bool) -> int:
    """Say what METRICS mean: formula, conventions, empty cases, tools that agree.

    Without METRICS, list them all by family.

    \b
    segjax explain hd95
    segjax explain dice "nsd(tolerance=2)" --json
    """  # noqa: D301
    from segjax.explanation import explain as explain_, families

    if not metrics and not as_json:
        for family, members in families().items():
            click.echo(click.style(family, bold=True))
            width = max(len(m.name) for m in members)
            for metric in members:
                click.echo(f"  {metric.name:{width}}  {metric.title}")
        return 0
    asked = metrics or tuple(m.name for members in families().values() for m in members)
    found = [explain_(name) for name in asked]
    if as_json:
        records = [one.as_dict() for one in found]
        click.echo(json.dumps(records if len(metrics) != 1 else records[0], indent=1))
        return 0
    for place, one in enumerate(found):
        click.echo("\n" * bool(place), nl=False)
        click.echo(f"{click.style(one.name, bold=True)}  ({one.family})")
        for heading, texts in one.sections().items():
            click.echo(_section(heading, texts))
    return 0


def _section(heading: str, texts: Sequence[str]) -> str:
    """A heading, and beside it texts that are wrapped to the terminal."""
    indent = " " * 19
    width = max(60, min(shutil.get_terminal_size().columns, 110))
    lines: list[str] = []
    for text in texts:
        lines += textwrap.wrap(
            text,
            width,
            initial_indent=indent,
            subsequent_indent=indent + "  " * (len(texts) > 1),
            break_long_words=False,
            break_on_hyphens=False,
        )
    label = click.style(f"{heading:17}", bold=True)
    return "\n".join([f"{label}  {lines[0].strip()}", *lines[1:]])
