"""How often each model takes each rank."""

from collections.abc import Sequence

from segjax.report._text import escape, percent
from segjax.report.charts._axes import name_text, svg, width_of


_FEW = 20  # models above which cells are small and the rare ones stay empty
_LEVELS = 10
_NAMES = 170.0


def rank_heatmap(names: Sequence[str], probability: Sequence[Sequence[float]], title: str) -> str:
    """Draw models, best first, against ranks; the share of resamples in colour and in print.

    Above 20 models, cells of one shade are one path and what is below 1 % is left empty, so
    that the picture stays light.

    Args:
        names: of the models, best first.
        probability: of each rank from 1, for each model.
        title: what a screen reader says.
    """
    small = len(names) > _FEW
    wide, tall = (19.0, 17.0) if small else (max(34.0, min(64.0, 520 / len(names))), 28.0)
    left = 10 + min(_NAMES, max(width_of(name) for name in names))
    body = "".join(
        f'<text x="{left + (k + 0.5) * wide:g}" y="14" text-anchor="middle">{k + 1}</text>'
        + name_text(left - 8, 22 + (k + 0.5) * tall + 4, name, _NAMES, "end")
        for k, name in enumerate(names)
    )
    boxes: dict[int, str] = {}
    words = ""
    for i, row in enumerate(probability):
        for k, p in enumerate(row):
            x, y = left + k * wide, 22 + i * tall
            box = f"M{x + 0.5:g},{y + 0.5:g}h{wide - 1:g}v{tall - 1:g}h{1 - wide:g}z"
            level = min(_LEVELS, int(_LEVELS * p + 0.999))
            dark = " dark" if p > 0.55 else ""
            at = f'x="{x + wide / 2:g}" y="{y + tall / 2 + 4:g}"'
            if not small:
                said = f"{names[i]}, rank {k + 1}: {percent(p)}"
                words += (
                    f'<path class="cell" fill-opacity="{0.06 + 0.94 * p:.3g}" d="{box}">'
                    f"<title>{escape(said)}</title></path>"
                )
                words += f'<text class="share{dark}" {at}>{_whole(p)}</text>' if p else ""
            elif p >= 0.01:
                boxes[level] = boxes.get(level, "") + box
                words += f'<text class="share{dark}" {at}>{100 * p:.0f}</text>'
    paths = "".join(
        f'<path class="cell" fill-opacity="{level / _LEVELS:g}" d="{d}"/>'
        for level, d in sorted(boxes.items())
    )
    size = left + len(names) * wide + 4, 26 + len(names) * tall
    return svg("ranks small" if small else "ranks", *size, title, paths + words + body)


def _whole(p: float) -> str:
    """Percent without decimals, where they would not feign 0 or 100."""
    if p < 0.005:
        return "&lt;1"
    return "&gt;99" if 0.995 <= p < 1 else f"{100 * p:.0f}"
