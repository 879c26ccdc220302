"""What the numbers mean, and how to get them again."""

import re
from collections.abc import Mapping
from typing import Any

from segjax.metrics import Metric
from segjax.report._shell import facts
from segjax.report._text import escape, number, plural
from segjax.report.sections._content import Content, direction, short


GUIDELINE = "https://doi.org/10.1186/s13104-022-06096-y"
_TIMES = "\N{MULTIPLICATION SIGN}"
_FACTS = "facts small"
_ASKED = ("dice", "iou", "sensitivity", "specificity")


def glossary(content: Content) -> str:
    """Definitions of the metrics on the page."""
    entries = "".join(_entry(content, m) for m in content.metrics)
    return f'<section><h2>Definitions</h2><dl class="glossary">{entries}</dl></section>'


def _entry(content: Content, metric: Metric) -> str:
    first, _, rest = metric.definition.partition("\n")
    text = "".join(f"<dd>{_marked(p)}</dd>" for p in rest.split("\n\n") if p.strip())
    ends = "no best or worst value"
    if metric.best is not None and metric.worst is not None:
        ends = f"best {number(metric.best, 0)}, worst {number(metric.worst, 0)}"
    unit = f"; in {escape(content.unit(metric))}" if metric.unit else ""
    source = f'<dd class="muted small">{linked(metric.source)}</dd>' if metric.source else ""
    return (
        f"<dt>{escape(first.rstrip('.'))} <code>{escape(metric.name)}</code></dt>{text}"
        f'<dd class="small">{direction(metric).capitalize()}; {ends}{unit}.</dd>{source}'
    )


def linked(source: str) -> str:
    """A citation with its DOI as a link.

    Example:
        >>> linked("Dice (1945). doi:10.2307/1932409")
        'Dice (1945). <a href="https://doi.org/10.2307/1932409">doi:10.2307/1932409</a>'
    """
    link = lambda found: f'<a href="https://doi.org/{found[1]}">doi:{found[1]}</a>'
    return re.sub(r"doi:(10\.[^\s;,]*[^\s;,.])", link, _marked(source))


def _marked(text: str) -> str:
    """Text of a docstring on one line, its names in code style."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split())))


def unpaired(content: Content) -> str:
    """Files that have no counterpart, and what became of them."""
    sides = content.summary.get("unpaired") or {}
    found = {side: list(sides.get(side) or ()) for side in ("reference", "prediction")}
    if not any(found.values()):
        return "<section><h2>Not paired</h2><p>Every file had its counterpart.</p></section>"
    lists = "".join(
        f"<details{' open' if len(files) <= 10 else ''}><summary>{plural(len(files), side)} "
        f"without a {'prediction' if side == 'reference' else 'reference'}</summary><ul>"
        + "".join(f"<li><code>{escape(f)}</code></li>" for f in files)
        + "</ul></details>"
        for side, files in found.items()
        if files
    )
    fate = (
        "These frames have no result, and count as if nothing had been found in them."
        if content.summary.get("layout") == "ctc"
        else "These files are in no number on this page."
    )
    return f'<section><h2>Not paired</h2><p class="note">{fate}</p>{lists}</section>'


def guideline(content: Content) -> str:
    """How the page stands to MISeval's guideline."""
    lacking = [name for name in _ASKED if name not in content.table.metrics]
    words = (
        f" The guideline also asks for {escape(', '.join(lacking))}, not computed here."
        if lacking
        else ""
    )
    leads = "Dice leads"
    if content.main is not None and content.main.of_objects:
        leads = f"{escape(short(content.main))} leads, as objects are judged; of voxels Dice"
    return (
        "<section><h2>How to read this page</h2><p>It follows the guideline of "
        f'<a href="{GUIDELINE}">Müller, Soto-Rey and Kramer (2022)</a>: {leads}, with IoU, '
        "sensitivity and specificity beside it; accuracy never leads, because it is near 1 for "
        "every small object, found or not; labels are scored one by one and background does not "
        "lift a mean; distributions are shown and not only means; samples are chosen by rank; "
        f"and all that is needed to compute the numbers again is below.{words}</p></section>"
    )


def stamp(content: Content) -> str:
    """Command, versions, options and the hashes of the files."""
    s = content.summary
    versions = {"segjax": s.get("segjax"), **(s.get("versions") or {})}
    seconds = s.get("seconds")
    took = (
        f'<p class="small">Took {number(float(seconds), 1)} s.</p>' if seconds is not None else ""
    )
    return (
        "<section><h2>To compute it again</h2>"
        f"<pre>{escape(s.get('command', ''))}</pre>"
        f"<h3>Versions</h3>{facts(versions, _FACTS)}"
        f"<h3>Options</h3>{facts(s.get('options') or {}, _FACTS)}"
        f"{took}{_inputs(s.get('inputs') or [])}</section>"
    )


def _inputs(inputs: list[Mapping[str, Any]]) -> str:
    if not inputs:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(i.get("case"))}</th>'
        + "".join(f"<td>{_file(i.get(side) or {})}</td>" for side in ("reference", "prediction"))
        + f"<td>{escape(_grid(i))}</td></tr>"
        for i in inputs
    )
    return (
        f"<details><summary>{plural(len(inputs), 'pair')} of files with their SHA-256</summary>"
        '<div class="scroll"><table class="files"><thead><tr><th scope="col">Case</th>'
        '<th scope="col">Reference</th><th scope="col">Prediction</th><th scope="col">Grid</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _file(file: Mapping[str, Any]) -> str:
    return (
        f"{escape(file.get('path') or 'none')}<br><code>{escape(file.get('sha256') or '')}</code>"
    )


def _grid(entry: Mapping[str, Any]) -> str:
    shape = f" {_TIMES} ".join(map(str, entry.get("shape") or ()))
    spacing = f" {_TIMES} ".join(f"{float(x):g}" for x in entry.get("spacing") or ())
    return f"{shape}; {spacing} {entry.get('unit') or ''}".strip("; ") if spacing else shape
