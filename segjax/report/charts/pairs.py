"""Which pairs of models differ: a triangle of all of them."""

from collections.abc import Sequence
from typing import NamedTuple

from segjax.report._text import escape
from segjax.report.charts._axes import name_text, svg, width_of


FEW = 15  # models above which cells are small and have no words of their own
_PRINTED = 8
_NAMES = 190.0
KINDS = ("open", "first", "second")


class Cell(NamedTuple):
    """What is known of a pair: its kind, one or two short lines, and all of it in words."""

    kind: str
    lines: tuple[str, ...]
    words: str


def pair_matrix(names: Sequence[str], cells: Sequence[Sequence[Cell | None]], title: str) -> str:
    """Draw all pairs below a diagonal of names.

    The cell of a pair lies in the row of the model that ranks lower, under the name of the
    one that ranks higher.

    Args:
        names: of the models, best first.
        cells: `cells[i][j]` of the pair of models j and i, j before i; None leaves it blank.
        title: what a screen reader says.
    """
    small = len(names) > FEW
    printed = len(names) <= _PRINTED
    wide, tall = (14.0, 14.0) if small else (92.0, 40.0) if printed else (34.0, 26.0)
    body, paths = "", dict.fromkeys(KINDS, "")
    for i, name in enumerate(names):
        body += name_text(i * wide + 6, (i + 0.5) * tall + 4, name, _NAMES)
        for j, cell in enumerate(cells[i][:i]):
            if cell is None:
                continue
            box = f"M{j * wide + 0.5:g},{i * tall + 0.5:g}h{wide - 1:g}v{tall - 1:g}h{1 - wide:g}z"
            if small:
                paths[cell.kind] += box
                continue
            title_of = f"<title>{escape(cell.words)}</title>"
            body += f'<path class="pair {cell.kind}" d="{box}">{title_of}</path>'
            for k, line in enumerate(cell.lines if printed else ()):
                at = f'x="{(j + 0.5) * wide:g}" y="{i * tall + 17 + 14 * k:g}"'
                body += f'<text class="on {cell.kind}" {at}>{escape(line)}</text>'
    joined = "".join(f'<path class="pair {k}" d="{d}"/>' for k, d in paths.items() if d)
    room = min(_NAMES, max(width_of(name) for name in names))
    width = max(i * wide + 14 + min(_NAMES, width_of(n)) for i, n in enumerate(names))
    size = (len(names) - 1) * wide + room + 14 if small else width
    kind = f'pairs" data-cell="{wide:g}' if small else "pairs"
    return svg(kind, size, len(names) * tall, title, joined + body)
