"""What the numbers mean, and how to get them again."""

from segjax.report._shell import facts
from segjax.report._text import escape, number
from segjax.report.board._content import Board, bdi, listed


_FACTS = "facts small"
_MISSING = {
    "worst": "a score that is missing (the model crashed, or found nothing) counts as the worst "
    "possible",
    "drop-case": "a case in which a score is missing is left out for all models",
    "fail": "no score may be missing",
}
_UNDEFINED = {
    "omit": "a score that is undefined (0/0, nothing there) is left out",
    "drop-case": "a case in which a score is undefined (0/0, nothing there) is left out for all "
    "models",
    "best": "a score that is undefined (0/0, nothing there) counts as the best possible",
    "worst": "a score that is undefined (0/0, nothing there) counts as the worst possible",
    "fail": "no score may be undefined",
}
_PLANS = {
    "iid": "cases are resampled one by one, as if each were independent of the others",
    "clusters": "whole groups ({column}) are resampled, because cases of a group are alike",
    "clusters then cases": "groups ({column}) are resampled, and cases within them",
    "strata": "cases are resampled within each value of {column}, whose shares are fixed",
}


def notes(board: Board) -> str:
    """What the makers of the board have to say."""
    lines = "".join(f"<li><bdi>{escape(n)}</bdi></li>" for n in board.document.get("notes") or [])
    return f"<section><h2>Notes</h2><ul>{lines}</ul></section>" if lines else ""


def stamp(board: Board) -> str:
    """Estimand, policies, command, versions, options and hashes."""
    d = board.document
    versions = {"segjax": d.get("segjax"), **(d.get("versions") or {})}
    options = {k: v for k, v in board.options.items() if k != "plan"}
    plan = board.options.get("plan") or {}
    if plan:
        options["resampling"] = " by ".join(filter(None, (plan.get("kind"), plan.get("column"))))
        options["units"] = plan.get("units")
    took = d.get("seconds")
    return (
        f"<section><h2>What was estimated, and how to get it again</h2><p>{_meaning(board)}</p>"
        f"<pre>{escape(d.get('command') or '')}</pre>"
        + (f'<p class="small">Took {number(float(took), 1)} s.</p>' if took is not None else "")
        + _dataset(board)
        + f"<h3>Versions</h3>{facts(versions, _FACTS)}<h3>Options</h3>{facts(options, _FACTS)}"
        + f"{_models(board)}{_sources(board)}</section>"
    )


def _meaning(board: Board) -> str:
    options, plan = board.options, board.options.get("plan") or {}
    how = _PLANS.get(str(plan.get("kind") or "iid"), "").format(column=plan.get("column"))
    words = [
        f"An estimate is the {board.statistic} over the cases of this board; its interval speaks "
        f"of the {board.statistic} over all cases like them",
        how,
        _MISSING.get(str(options.get("missing")), ""),
        _UNDEFINED.get(str(options.get("undefined")), ""),
    ]
    return ". ".join(escape(w[0].upper() + w[1:]) for w in words if w) + "."


def _dataset(board: Board) -> str:
    dataset = {k: v for k, v in (board.document.get("dataset") or {}).items() if v}
    return f"<h3>Data set</h3>{facts(dataset, _FACTS)}" if dataset else ""


def _models(board: Board) -> str:
    if not board.models:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{bdi(m["name"])}</th>'
        + "".join(
            f"<td>{bdi(m[k]) if m.get(k) else number(None)}</td>"
            for k in ("version", "license", "url")
        )
        + f"<td>{listed(m.get('contaminated_on') or []) or number(None)}</td></tr>"
        for m in board.models
    )
    return (
        f"<details><summary>The {len(board.models):,} models</summary>"
        '<div class="scroll"><table class="files"><thead><tr><th scope="col">Model</th>'
        '<th scope="col">Version</th><th scope="col">License</th><th scope="col">Source</th>'
        f'<th scope="col">Trained on</th></tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def _sources(board: Board) -> str:
    rows = "".join(
        f'<tr><th scope="row">{bdi(s.get("path") or "")}</th>'
        f"<td><code>{escape(s.get('sha256') or '')}</code></td></tr>"
        for s in board.document.get("sources") or []
    )
    whole = board.document.get("scores_sha256")
    if whole:
        rows += f'<tr><th scope="row">all scores</th><td><code>{escape(whole)}</code></td></tr>'
    if not rows:
        return ""
    return (
        "<h3>SHA-256</h3>"
        f'<div class="scroll"><table class="files"><tbody>{rows}</tbody></table></div>'
    )
