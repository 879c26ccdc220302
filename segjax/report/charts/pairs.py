"""Which pairs of models differ: a triangle of all of them."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from segjax.report._text import escape
from segjax.report.charts._axes import name_text, svg, width_of


FEW = 15  # models above which cells are small and have no words of their own
PRINTED = 8  # models up to which cells have words
_NAMES = 190.0


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
    printed = len(names) <= PRINTED
    wide, tall = (14.0, 14.0) if small else (92.0, 40.0) if printed else (34.0, 26.0)
    body = ""
    for i, name in enumerate(names):
        body += name_text(i * wide + 6, (i + 0.5) * tall + 4, name, _NAMES)
        for j, cell in enumerate(cells[i][:i]):
            if cell is None:
                continue
            if small:
                continue
            box = f"M{j * wide + 0.5:g},{i * tall + 0.5:g}h{wide - 1:g}v{tall - 1:g}h{1 - wide:g}z"
            title_of = f"<title>{escape(cell.words)}</title>"
            body += f'<path class="pair {cell.kind}" d="{box}">{title_of}</path>'
            for k, line in enumerate(cell.lines if printed else ()):
                at = f'x="{(j + 0.5) * wide:g}" y="{i * tall + 17 + 14 * k:g}"'
                body += f'<text class="on {cell.kind}" {at}>{escape(line)}</text>'
    joined = _runs(cells, wide, tall) if small else ""
    room = min(_NAMES, max(width_of(name) for name in names))
    width = max(i * wide + 14 + min(_NAMES, width_of(n)) for i, n in enumerate(names))
    size = (len(names) - 1) * wide + room + 14 if small else width
    kind = f'pairs" data-cell="{wide:g}' if small else "pairs"
    return svg(kind, size, len(names) * tall, title, joined + body)


def _runs(cells: Sequence[Sequence[Cell | None]], wide: float, tall: float) -> str:
    """Small cells: neighbours of one kind are one bar, and thin rules part them again."""
    paths: dict[str, str] = {}
    for i, row in enumerate(cells):
        j = 0
        for cell, run in groupby(row[:i], key=lambda c: None if c is None else c.kind):
            length = wide * len(list(run))
            if cell is not None:
                box = f"M{j:g},{i * tall + 0.5:g}h{length:g}v{tall - 1:g}h{-length:g}z"
                paths[cell] = paths.get(cell, "") + box
            j += length
    bars = "".join(f'<path class="pair {kind}" d="{d}"/>' for kind, d in paths.items())
    rules = "".join(f"M{j * wide:g},{j * tall:g}V{len(cells) * tall:g}" for j in range(len(cells)))
    return f'{bars}<path class="rules" d="{rules}"/>'
