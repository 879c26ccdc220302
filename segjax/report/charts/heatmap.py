"""How often each model takes each rank."""

from collections.abc import Sequence

from segjax.report._text import escape, percent
from segjax.report.charts._axes import name_text, svg, width_of


FEW = 20  # models above which cells are small and the rare ones stay empty
_LEVELS = 10
_DARK = 0.66  # share above which words are written in the other colour
_COLOURED, _PRINTED = 0.01, 0.1  # least shares, above that many models
_NAMES, _TOP = 170.0, 22.0


def rank_heatmap(names: Sequence[str], probability: Sequence[Sequence[float]], title: str) -> str:
    """Draw models, best first, against ranks; the share of resamples in colour and in print.

    Above 20 models, cells of one shade are one path, what is below 1 % has no colour and what
    is below 10 % no number, so that the picture stays light.

    Args:
        names: of the models, best first.
        probability: of each rank from 1, for each model.
        title: what a screen reader says.
    """
    small = len(names) > FEW
    wide, tall = (20.0, 16.0) if small else (max(34.0, min(64.0, 520 / len(names))), 28.0)
    left = 18 + min(_NAMES, max(width_of(name) for name in names))
    body = (_shades if small else _cells)(names, probability, wide, tall)
    heads = "".join(
        f'<text x="{(k + 0.5) * wide:g}" y="-8" text-anchor="middle">{k + 1}</text>'
        + name_text(-8.0, (k + 0.5) * tall + 4, name, _NAMES, "end")
        for k, name in enumerate(names)
    )
    size = left + len(names) * wide + 4, _TOP + len(names) * tall + 4
    drawn = f'<g transform="translate({left:g} {_TOP:g})">{body}{heads}</g>'
    return svg("ranks small" if small else "ranks", *size, title, drawn)


def _cells(
    names: Sequence[str], probability: Sequence[Sequence[float]], wide: float, tall: float
) -> str:
    every = found = ""
    for i, row in enumerate(probability):
        for k, p in enumerate(row):
            x, y = k * wide, i * tall
            box = f"M{x + 0.5:g},{y + 0.5:g}h{wide - 1:g}v{tall - 1:g}h{1 - wide:g}z"
            every += box
            if p > 0:
                said = f"{names[i]}, rank {k + 1}: {percent(p)}"
                found += (
                    f'<path class="cell" fill-opacity="{p:.3g}" d="{box}">'
                    f"<title>{escape(said)}</title></path>"
                    f'<text class="share{" dark" if p > _DARK else ""}" x="{x + wide / 2:g}" '
                    f'y="{y + tall / 2 + 4:g}">{_whole(p)}</text>'
                )
    return f'<path class="empty" d="{every}"/>{found}'


def _shades(
    names: Sequence[str], probability: Sequence[Sequence[float]], wide: float, tall: float
) -> str:
    """Every shade is a path of strokes as thick as a row; numbers are one text a row."""
    shades: dict[int, str] = {}
    words = ""
    for i, row in enumerate(probability):
        said = ""
        for k, p in enumerate(row):
            if p >= _COLOURED:
                level = min(_LEVELS, int(_LEVELS * p + 0.999))
                stroke = f"M{k * wide:g},{(i + 0.5) * tall:g}h{wide - 1:g}"
                shades[level] = shades.get(level, "") + stroke
            if p >= _PRINTED:
                dark = ' class="dark"' if p > _DARK else ""
                said += f'<tspan{dark} x="{(k + 0.5) * wide:g}">{_whole(p)}</tspan>'
        words += f'<text class="share" y="{(i + 0.5) * tall + 3:g}">{said}</text>' if said else ""
    paths = "".join(
        f'<path class="shade" stroke-width="{tall - 1:g}" stroke-opacity="{level / _LEVELS:g}" '
        f'd="{d}"/>'
        for level, d in sorted(shades.items())
    )
    return paths + words


def _whole(p: float) -> str:
    """Percent without decimals, where they would not feign 0 or 100."""
    if p < 0.01:
        return "&lt;1"
    return "&gt;99" if 0.99 < p < 1 else f"{100 * p:.0f}"
