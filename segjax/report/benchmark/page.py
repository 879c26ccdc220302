"""One page that opens without a network: what segjax costs, and what its peers do."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from segjax.report._shell import date, facts, html_page
from segjax.report._text import escape, number, plural
from segjax.report.benchmark.rows import OURS, Document, Row, clock_of, quicker, quickest
from segjax.report.benchmark.sections import ceilings, large_ct, starts
from segjax.report.benchmark.tables import left_out, of_workload, table
from segjax.report.charts.growth import growth_chart
from segjax.report.theme import css


_WALL = ("wall time", ", peers on the CPU")
STYLE = """
.growth .own path{stroke:var(--accent);stroke-width:3}
.growth .own circle{fill:var(--accent);stroke:none}
.growth .other path{stroke:var(--muted);opacity:.55}
.growth .other circle{fill:var(--muted);stroke:none;opacity:.7}
.growth .other:hover path{stroke:var(--alert);opacity:1;stroke-width:2}
.growth .guide{stroke:var(--ink);stroke-dasharray:3 5}
.growth .tie{stroke:var(--line)}
.growth .strong{font-weight:700;fill:var(--accent)}
.slower td:last-child{color:var(--alert)}
td.text,th.text{text-align:left;white-space:normal}
"""


def render_benchmark(document: Document) -> str:
    """Write the page of a benchmark.

    Args:
        document: what `bench.json` holds.

    Returns:
        HTML in which every text from outside is inert.
    """
    clock = clock_of(document)
    body = (
        _header(document)
        + _largest(document, clock)
        + _quicker(document, clock)
        + "".join(_workload(document, about, clock) for about in document["workloads"])
        + starts(document.get("starts") or ())
        + ceilings(document)
        + large_ct(document.get("ct"), document["machine"])
        + _stamp(document)
    )
    return html_page("What segjax costs", body, style=css() + STYLE, script="")


def _header(document: Document) -> str:
    machine = document["machine"]
    known = {
        "Processor": machine["processor"],
        "Cores": machine["cores"],
        "Devices": ", ".join(sorted(set(machine["devices"]))),
        "Memory": f"{machine['memory_gb']} GB" if machine["memory_gb"] else None,
        "Reads": f"{machine['read_gb_s']:g} GB/s",
        "Multiplies": f"{machine['gflop_s']:g} GFLOP/s",
        "Date": date(document["created"]),
    }
    return (
        '<header><p class="eyebrow">Benchmark</p><h1>What segjax costs on this machine</h1>'
        f"{facts({k: v for k, v in known.items() if v})}</header>"
    )


def _rows(document: Document, workload: str) -> list[Row]:
    return [row for row in document["rows"] if row["workload"] == workload]


def _largest(document: Document, clock: str) -> str:
    """The table that says most: each workload at its largest size, next to the best peer."""
    lines, won, contested = [], 0, 0
    growth = {one["workload"]: one for one in document["growth"]}
    for about in document["workloads"]:
        rows = _rows(document, about["name"])
        if not rows:
            continue
        own = [row for row in rows if row["tool"] == OURS][-1]
        best = quickest(rows, own, clock)
        contested += best is not None
        won += best is not None and best[f"{clock}_ratio"] <= 1
        power = growth.get(about["name"])
        lines.append(
            (
                f'<a href="#{escape(about["name"])}">{escape(about["title"])}</a>',
                f"{own['size']:,}",
                _ms(own[f"{clock}_ms"]),
                escape(best["tool"]) if best else "",
                _ms(best[f"{clock}_ms"]) if best else "",
                number(best[f"{clock}_ratio"], 2) if best else "",
                f"{power['exponent' if clock == 'cpu' else 'exponent_wall']:.2f}" if power else "",
                f"{power['n_log_n']:.2f}" if power else "",
            )
        )
    head = ("what", "size", "segjax, ms", "quickest peer", "peer, ms", "segjax / peer")
    lead = (
        f'<p class="lead"><strong>{won} of {contested}</strong> <span>workloads where no peer is '
        "quicker at the largest size</span></p>"
        if contested
        else ""
    )
    return (
        f"{lead}<section><h2>At the largest size</h2>"
        f"<p>{_what(clock)} Cost grows with the number N of voxels (or resamples) to the power in "
        "the last columns, fitted over the three largest sizes; N log N is the power by which that "
        "grows over the same sizes.</p>"
        f"{table((*head, 'power of N', 'N log N'), lines, text=(0, 3))}</section>"
    )


def _what(clock: str) -> str:
    time, where = ("CPU time of all threads", "") if clock == "cpu" else _WALL
    return (
        f"Medians of {time}, from arrays in the memory of the host to scores; all tools take turns "
        f"within one process{where}, and the ratio is the median over the rounds."
    )


def _quicker(document: Document, clock: str) -> str:
    """All that is lost, and by how much."""
    titles = {about["name"]: about["title"] for about in document["workloads"]}
    own = {(r["workload"], r["size"]): r for r in document["rows"] if r["tool"] == OURS}
    lines, lost = [], 0.0
    for row in quicker(document["rows"], clock):
        ours = own[row["workload"], row["size"]][f"{clock}_ms"]
        lost = max(lost, ours - row[f"{clock}_ms"])
        lines.append(
            (
                escape(titles[row["workload"]]),
                f"{row['size']:,}",
                escape(row["tool"]),
                _ms(row[f"{clock}_ms"]),
                _ms(ours),
                number(row[f"{clock}_ratio"], 2),
            )
        )
    if not lines:
        return ""
    head = ("what", "size", "peer", "peer, ms", "segjax, ms", "segjax / peer")
    compared = sum(f"{clock}_ratio" in row for row in document["rows"])
    return (
        '<section class="slower"><h2>Where a peer is quicker</h2>'
        f"<p>In {len(lines):,} of {plural(compared, 'comparison')}, over all sizes; with small "
        f"images it is for what a call costs. At most {_ms(lost)} ms are lost in one.</p>"
        f"<details><summary>All of them</summary>{table(head, lines, text=(0, 2))}</details>"
        "</section>"
    )


def _workload(document: Document, about: Mapping[str, Any], clock: str) -> str:
    rows = _rows(document, about["name"])
    if not rows:
        return ""
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if f"{clock}_ms" in row:
            curves.setdefault(row["tool"], []).append((float(row["size"]), row[f"{clock}_ms"]))
    own = [row for row in rows if row["tool"] == OURS]
    chart = growth_chart(
        curves,
        first=OURS,
        guide=_n_log_n(own, clock) if about["grows"] else (),
        guide_name="N log N",
        x_title=about["axis"],
        y_title=f"{'CPU' if clock == 'cpu' else 'wall'} time, ms",
        title=about["title"],
    )
    return (
        f'<section id="{escape(about["name"])}"><h2>{escape(about["title"])}</h2>'
        f'<div class="scroll">{chart}</div>{_compiled(own)}{left_out(rows)}'
        f"<details><summary>All figures</summary>{of_workload(rows, clock)}</details></section>"
    )


def _n_log_n(own: Sequence[Row], clock: str) -> list[tuple[float, float]]:
    """N log N through the largest size of ours."""
    last = own[-1]
    n_log_n = lambda n: n * math.log(max(n, 2))
    scale = last[f"{clock}_ms"] / n_log_n(last["elements"])
    return [(float(row["size"]), scale * n_log_n(row["elements"])) for row in own]


def _compiled(own: Sequence[Row]) -> str:
    programs = sum(row["compiled"] for row in own)
    cached = sum(row["from_cache"] for row in own)
    seconds = sum(row["compile_s"] for row in own)
    if not programs:
        return '<p class="muted small">No program is compiled.</p>'
    return (
        f'<p class="muted small">{plural(programs, "program")} compiled for all sizes in '
        f"{number(seconds, 2)} s ({cached} from disk), before what is timed here.</p>"
    )


def _ms(value: float) -> str:
    return number(value, 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3)


def _stamp(document: Document) -> str:
    versions = document["machine"]["versions"]
    there = ", ".join(f"{escape(k)} {escape(v)}" for k, v in versions.items() if v)
    absent = ", ".join(escape(k) for k, v in versions.items() if not v)
    missing = f"<p>Not installed: {absent}.</p>" if absent else ""
    return (
        f'<footer class="small muted"><pre>{escape(document["command"])}</pre>'
        f"<p>Python {escape(document['machine']['python'])}, {there}.</p>{missing}</footer>"
    )
