"""`segjax doctor`: what would stop a run, or change what it gives, before it starts."""

import json
from pathlib import Path
from typing import Any

import click

from segjax.cli._text import shown


_ACCELERATORS = ("cuda12", "cuda13", "tpu")
_MARKS = {"stops": ("stops", "red"), "changes": ("changes", "yellow"), "note": ("note", "blue")}


@click.command()
@click.argument("reference", type=click.Path(path_type=Path), required=False)
@click.argument("prediction", type=click.Path(path_type=Path), required=False)
@click.option("--headers", is_flag=True, help="Look at headers alone: quick, and blind to labels.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def doctor(reference: Path | None, prediction: Path | None, headers: bool, as_json: bool) -> int:
    """Look over the installation and, if given, two folders, before they are scored.

    Of folders: whether files can be read, lie on the same grid and mean the same by their
    labels, and who is missing. Worst first, each with what mends it. Exits with 1 if anything
    would stop `segjax evaluate`, or change what it gives.

    \b
    segjax doctor
    segjax doctor labels/ predictions/
    """  # noqa: D301
    from segjax._compiling import keep_compiled
    from segjax.doctor import examine

    keep_compiled()
    found = examine(reference, prediction, headers=headers)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=1))
        return int(not found.is_clean)
    _print_environment(found.environment)
    if reference is not None or found.findings:
        click.echo()
    for finding in found.findings:
        _print(finding)
    if reference is not None:
        click.echo(_verdict(found))
    return int(not found.is_clean)


def _verdict(found: Any) -> str:
    cases = (
        f"{found.cases} {'case' if found.cases == 1 else 'cases'} ({found.layout or 'unpaired'})"
    )
    serious = [f for f in found.findings if f.severity != "note"]
    if serious:
        return f"{cases}: {len(serious)} to mend before the scores can be trusted"
    return f"{cases}: nothing would stop or change the scores"


def _print_environment(around: Any) -> None:
    from segjax.io import byte_size

    versions = dict(around.versions)
    _line("segjax", versions.pop("segjax"))
    _line("devices", ", ".join(around.devices))
    _line("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))
    there = [extra for extra, missing in around.extras.items() if not missing]
    _line("extras", ", ".join(there) or "none")
    lacking = {k: v for k, v in around.extras.items() if v and k not in _ACCELERATORS}
    for extra, missing in lacking.items():
        _line("", f'no {extra} ({", ".join(missing)}): pip install "segjax[{extra}]"')
    if around.backend == "cpu":
        others = ", ".join(_ACCELERATORS[1:])
        _line("", f'no accelerator: pip install "segjax[{_ACCELERATORS[0]}]" (or {others})')
    size = byte_size(around.cache_bytes)
    _line("compiled", f"{around.programs} programs, {size}, in {shown(around.cache)}")
    first = around.first_run
    _line(
        "first run",
        f"Dice and HD95 of a small pair in {first.seconds:.2f} s, {first.compile_seconds:.2f} s of "
        f"them for {first.programs} {'program' if first.programs == 1 else 'programs'}, "
        f"{first.from_cache} from disk",
    )


def _line(heading: str, text: str) -> None:
    click.echo(f"{click.style(f'{heading:9}', bold=True)} {text}")


def _print(finding: Any) -> None:
    mark, colour = _MARKS[finding.severity]
    names = [name for name in finding.cases if name]
    many = f"  ({len(names)} {'case' if len(names) == 1 else 'cases'})" if names else ""
    click.echo(f"{click.style(f'{mark:9}', fg=colour, bold=True)} {finding.what}{many}")
    click.echo(f"{'':9} {shown(finding.detail)}")
    if len(names) > 1:
        some = ", ".join(names[1:6]) + (f", and {len(names) - 6} more" if len(names) > 6 else "")
        click.echo(f"{'':9} also {shown(some)}")
    verb = "try" if finding.severity == "note" else "mend each" if finding.each else "mend"
    click.echo(f"{'':9} {verb}: {shown(finding.command)}\n")
