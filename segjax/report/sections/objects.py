"""What becomes of the objects: how many are found, and in which cases the others are."""

from collections.abc import Mapping

from segjax.report._text import escape, number, plural
from segjax.report.sections._content import Content


# Kinds of objects in the order of reading, each with its colour.
SWATCHES = {
    "accurate": "agreement",
    "missed": "missed",
    "merged": "merged",
    "split": "split",
    "spurious": "extra",
}
_MEANING = {
    "accurate": "more than half of it is in a predicted object that has no other object",
    "missed": "no predicted object has more than half of it",
    "merged": "more than half of it is in a predicted object that has others as well",
    "split": "several predicted objects have more than half of themselves in it",
    "spurious": "predicted, but has more than half of no object",
}
_WORST = 10  # cases in the table


def objects(content: Content) -> str:
    """Totals of each kind, and the cases with most errors; nothing for classes."""
    if not content.objects:
        return ""
    counts = list(content.objects.values())
    total = {k: sum(c[k] for c in counts) for k in counts[0]}
    rows = "".join(_kind(kind, total) for kind in SWATCHES)
    return (
        f"<section><h2>Objects</h2><p>{plural(total['reference'], 'object')} in the reference, "
        f"{total['prediction']:,} predicted.</p>"
        '<div class="scroll"><table class="objects"><thead><tr><th scope="col">Kind</th>'
        '<th scope="col">Objects</th><th scope="col">Share</th><th scope="col">Meaning</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>{_worst(content)}</section>"
    )


def _kind(kind: str, total: Mapping[str, int]) -> str:
    of = "prediction" if kind == "spurious" else "reference"
    share = f"{number(100 * total[kind] / total[of], 1)} % of the {of}" if total[of] else "none"
    return (
        f'<tr><th scope="row">{_swatch(kind)}{kind}</th><td>{_count(total[kind])}</td>'
        f"<td>{share}</td><td>{_MEANING[kind]}</td></tr>"
    )


def _worst(content: Content) -> str:
    """The cases with most errors, and which."""
    wrong = {case: _errors(c) for case, c in content.objects.items()}
    shown = [case for case in sorted(wrong, key=lambda k: -wrong[k]) if wrong[case]][:_WORST]
    if len(wrong) == 1 or not shown:
        return ""
    heads = "".join(f'<th scope="col">{_swatch(kind)}{kind}</th>' for kind in SWATCHES)
    rows = "".join(
        f'<tr><th scope="row">{escape(case)}</th><td>{content.objects[case]["reference"]:,}</td>'
        + "".join(f"<td>{_count(content.objects[case][kind])}</td>" for kind in SWATCHES)
        + "</tr>"
        for case in shown
    )
    clean = sum(n == 0 for n in wrong.values())
    return (
        "<h3>Cases with most errors</h3>"
        '<div class="scroll"><table><thead><tr><th scope="col">Case</th>'
        f'<th scope="col">Objects in the reference</th>{heads}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div><p class="muted small">{clean:,} of '
        f"{plural(len(wrong), 'case')} without missed, merged, split or spurious objects.</p>"
    )


def _errors(counts: Mapping[str, int]) -> int:
    return sum(counts[kind] for kind in SWATCHES if kind != "accurate")


def _swatch(kind: str) -> str:
    return f'<span class="swatch {SWATCHES[kind]}"></span>'


def _count(n: int) -> str:
    return f"{n:,}" if n else '<span class="zero">0</span>'


def counted(counts: Mapping[str, int]) -> str:
    """How many objects of each kind, in words.

    Example:
        >>> counted({"accurate": 1234, "missed": 3, "merged": 2, "split": 0, "spurious": 4})
        '1,234 accurate, 3 missed, 2 merged, 0 split, 4 spurious'
    """
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in SWATCHES)
