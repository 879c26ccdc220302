"""The cases: a picture of all models on each, and the data the script draws it from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segjax.report._text import clean, escape, number, script_json
from segjax.report.board._content import Board, Outcome
from segjax.report.board.pairs import kind
from segjax.report.board.tables import latex_table, markdown_table, to_csv
from segjax.report.charts.pairs import FEW


_WITHOUT_SCRIPT = 20  # cases
_COLUMNS = 8  # models beside them
_PLAIN = 60_000  # scores above which they are packed
# Digits of packed numbers: what prints and needs no escape in JSON or in a script.
DIGITS = "".join(c for c in map(chr, range(33, 127)) if c not in '"\\<>&')
_VALUES = 30  # of a column by which cases can be filtered
_STATUS = {1: "undefined", 2: "missed", 3: "absent"}


def cases(board: Board) -> str:
    """Controls and an empty frame for the script, a table without it, and the data."""
    if not board.outcomes or not board.document.get("cases"):
        return _data_element(board)
    measures = "".join(
        f'<option value="{i}">{escape(o.name)}</option>' for i, o in enumerate(board.outcomes)
    )
    one = len(board.outcomes) < 2
    chooser = (
        "" if one else f'<label>Measure <select class="measure-choice">{measures}</select></label>'
    )
    ranked = len(board.outcomes[0].order)
    packed = (
        " Scores here are rounded to 1/7,900 of their model&rsquo;s range; leaderboard.json has "
        "all digits."
        if _packs(board)
        else ""
    )
    return (
        "<section><h2>Cases</h2>"
        '<p class="muted small">One line per case, the worst on top: by the mean of the ranked '
        "models, a miss counting as the worst score. A dot is a model, a cross is a miss, the "
        f"line joins the best and the worst model of the case.{packed}</p>"
        f'<div class="controls needs-script">{chooser}{_filter(board)}'
        '<label>Find <input id="find" type="search"></label>'
        '<label>Show <select id="most"><option value="40">40 cases</option>'
        '<option value="200">200 cases</option><option value="1e9">all cases</option></select>'
        '</label><label>Mark <select id="marked"><option value="">no model</option></select>'
        '</label><button type="button" data-save="scores">Download scores (CSV)</button></div>'
        '<ul class="legend small needs-script" id="case-legend"></ul>'
        '<p class="muted small needs-script" id="found" role="status"></p>'
        '<div id="case-plot"></div>'
        f'<details id="case-means" class="needs-script"{" open" if ranked <= FEW else ""}>'
        "<summary>Mean of the shown cases</summary>"
        '<p class="muted small">The plain mean of the scores of the cases shown above, without '
        "an interval. It is not the board&rsquo;s estimate: missed, undefined and absent scores "
        "are left out here.</p>"
        '<div class="scroll"><table class="sortable narrow"><thead><tr>'
        '<th scope="col"><button type="button">Model</button></th>'
        '<th scope="col"><button type="button">Mean of shown cases</button></th>'
        '<th scope="col"><button type="button">Scores</button></th>'
        '<th scope="col"><button type="button">Missed</button></th>'
        "</tr></thead><tbody></tbody></table></div></details>"
        f"{_noscript(board)}</section>{_data_element(board)}"
    )


def _filter(board: Board) -> str:
    groups = "".join(
        f'<optgroup label="{escape(column)}">'
        + "".join(
            f'<option value="{i},{k}">{escape(column)}: {escape(value)}</option>'
            for k, value in enumerate(values)
        )
        + "</optgroup>"
        for i, (column, (values, _)) in enumerate(_columns(board).items())
    )
    if not groups:
        return ""
    return (
        f'<label>Cases <select id="filter"><option value="">all</option>{groups}</select></label>'
    )


def _columns(board: Board) -> dict[str, tuple[list[str], list[int]]]:
    """Columns with few values: the values, and which one each case has."""
    found = {}
    for column, values in (board.document.get("metadata") or {}).items():
        texts = ["not known" if v is None else clean(v) for v in values]
        distinct = sorted(set(texts))
        if 1 < len(distinct) <= _VALUES:
            found[str(column)] = distinct, [distinct.index(t) for t in texts]
    return found


def _noscript(board: Board) -> str:
    tables = "".join(_worst(board, outcome) for outcome in board.outcomes)
    return f"<noscript>{tables}</noscript>"


def _worst(board: Board, outcome: Outcome) -> str:
    """The first cases in the order of the plot, with the scores of the first models."""
    place = {str(m["name"]): i for i, m in enumerate(board.models)}
    scores, status = _scores(board, outcome), _statuses(board, outcome)
    ranked = [place[name] for name in outcome.order if name in place]
    if not scores or not ranked:
        return ""
    values = np.array([[math.nan if x is None else x for x in row] for row in scores], float)
    worth = values if outcome.higher else -values
    missed = np.array(status) == 2 if status else np.zeros(values.shape, bool)
    worth = np.where(missed & ~np.isfinite(values), -np.inf, worth)[ranked]
    counted = (~np.isnan(worth)).sum(0)
    total = np.where(np.isnan(worth), 0.0, worth).sum(0)
    means = np.where(counted > 0, total / np.maximum(counted, 1), np.inf)
    order = np.argsort(means, kind="stable")[:_WITHOUT_SCRIPT]
    shown = ranked[:_COLUMNS]
    heads = "".join(
        f'<th scope="col"><bdi>{escape(board.models[i]["name"])}</bdi></th>' for i in shown
    )
    names = board.document["cases"]
    rows = "".join(
        f'<tr><th scope="row"><bdi>{escape(names[c])}</bdi></th>'
        + "".join(
            f"<td>{_printed(outcome, scores[i][c], status[i][c] if status else 0)}</td>"
            for i in shown
        )
        + "</tr>"
        for c in order.tolist()
    )
    return (
        f"<h3><bdi>{escape(outcome.name)}</bdi></h3><p>Without scripts: the first {len(order)} of "
        f'{len(names):,} cases.</p><div class="scroll"><table><thead><tr><th scope="col">Case</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _printed(outcome: Outcome, score: float | int | None, status: int) -> str:
    if score is None:
        return f'<span class="flag">{_STATUS.get(status, number(None))}</span>'
    return outcome.printed(score)


def _scores(board: Board, outcome: Outcome) -> list[Sequence[float | int | None]]:
    return list((board.document.get("scores") or {}).get(outcome.name) or [])


def _statuses(board: Board, outcome: Outcome) -> list[Sequence[int]]:
    return list((board.document.get("status") or {}).get(outcome.name) or [])


def _packs(board: Board) -> bool:
    return sum(len(r) for o in board.outcomes for r in _scores(board, o)) > _PLAIN


def _data_element(board: Board) -> str:
    return f'<script type="application/json" id="board">{script_json(_data(board))}</script>'


def _data(board: Board) -> dict[str, Any]:
    """What the script needs."""
    names = [str(m["name"]) for m in board.models]
    packs = _packs(board)
    return {
        "models": [clean(name) for name in names],
        "colours": [board.colours.get(name, 0) for name in names],
        "cases": [clean(c) for c in board.document.get("cases") or []],
        "columns": [
            {"name": clean(c), "values": values, "of": of}
            for c, (values, of) in _columns(board).items()
        ],
        "status": {str(k): word for k, word in _STATUS.items()},
        "digits": DIGITS,
        "csv": to_csv(board.document),
        "measures": [_measure(board, o, names, packs) for o in board.outcomes],
    }


def _measure(board: Board, outcome: Outcome, names: list[str], packs: bool) -> dict[str, Any]:
    place = {name: i for i, name in enumerate(names)}
    scores = _scores(board, outcome)
    flags = [
        [i, c, s] for i, row in enumerate(_statuses(board, outcome)) for c, s in enumerate(row) if s
    ]
    return {
        "name": clean(outcome.name),
        "unit": clean(outcome.unit),
        "higher": outcome.higher,
        "digits": outcome.digits,
        "order": [place[name] for name in outcome.order if name in place],
        "scores": [packed(row, 2) for row in scores]
        if packs
        else [[_short(x) for x in row] for row in scores],
        "flags": flags,
        "pairs": _pairs(outcome, place) if len(outcome.order) > FEW else None,
        "markdown": markdown_table(board, outcome),
        "latex": latex_table(board, outcome),
    }


def _short(value: float | int | None, digits: int = 5) -> float | None:
    """A number of few digits; None where there is none to write."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")


def packed(values: Sequence[float | int | None], width: int) -> dict[str, Any]:
    """Numbers as text: `width` digits each, in steps of their range; the last code is none.

    Example:
        >>> packed([0.0, 1.0, None], 1)
        {'low': 0.0, 'step': 0.0114942529, 'width': 1, 'text': '!}~'}
    """
    x = np.array([math.nan if v is None else v for v in values], float)
    known = x[np.isfinite(x)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    none = len(DIGITS) ** width - 1
    step = (high - low) / (none - 1) or 1.0
    codes = np.where(np.isfinite(x), np.round((x - low) / step), none).astype(int)
    places = [codes // len(DIGITS) ** k % len(DIGITS) for k in reversed(range(width))]
    text = np.array(list(DIGITS))[np.stack(places, -1)]
    return {
        "low": float(f"{low:.9g}"),
        "step": float(f"{step:.9g}"),
        "width": width,
        "text": "".join(text.ravel().tolist()),
    }


def _pairs(outcome: Outcome, place: Mapping[str, int]) -> dict[str, Any]:
    """Columns over the pairs, for a table that would be long in HTML."""
    known = list(outcome.pairs.values())
    columns = {
        key: packed([p.get(key) for p in known], 3) for key in ("difference", "low", "high", "p")
    } | {key: packed([p.get(key) for p in known], 2) for key in ("effect", "superiority")}
    needs = [p.get("units_needed") for p in known]
    all_of_them = len(known) == len(outcome.order) * (len(outcome.order) - 1) // 2
    models = None if all_of_them else [[place[p["a"]], place[p["b"]]] for p in known]
    return columns | {
        "models": models,  # of all pairs, in the order of ranks, unless they are named
        "kind": "".join(kind(p)[0] for p in known),
        "needed": packed([needed and math.log10(needed) for needed in needs], 2),
    }
