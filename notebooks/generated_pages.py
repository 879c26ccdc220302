"""Pages that are made from the catalogue, from frozen measurements and from the packages.

The table in the README, too:

    python notebooks/generated_pages.py
"""

import re
from collections.abc import Iterable
from pathlib import Path

import segjax
from segjax.explanation import Peer, explain, families
from segjax.io import write_atomic
from segjax.metrics import METRICS


README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- metrics: made by notebooks/generated_pages.py -->\n", "<!-- end of metrics -->\n"
MODULES = {
    "Scores": ("segjax", "segjax.evaluation", "segjax.folder", "segjax.table", "segjax.objects"),
    "Metrics": (
        *(f"segjax.metrics.{family}" for family in families()),
        "segjax.explanation",
    ),
    "Statistics": (
        "segjax.case",
        "segjax.statistics",
        "segjax.ops.components",
        "segjax.ops.transform",
        "segjax.ops.skeleton",
    ),
    "Training": (
        "segjax.losses.overlap",
        "segjax.losses.pixelwise",
        "segjax.losses.lovasz",
        "segjax.losses.boundaries",
        "segjax.losses.topology",
        "segjax.losses.instance",
        "segjax.losses.presets",
        "segjax.streaming",
    ),
    "Leaderboards": ("segjax.leaderboard", "segjax.comparison"),
    "Without a ground truth": (
        "segjax.quality",
        "segjax.simulation.phantoms",
        "segjax.simulation.perturbations",
        "segjax.simulation.pairs",
    ),
    "Other": (
        "segjax.doctor",
        "segjax.io",
        "segjax.compat.miseval",
        "segjax.compat.segmentation_game",
    ),
}


def write(folder: Path) -> None:
    """Write the pages that `make docs` needs beside those written by hand."""
    folder.mkdir(exist_ok=True)
    pages = {
        "manual": moved(README),
        "changelog": moved(README.with_name("CHANGELOG.md")),
        "metrics": metrics_page(),
        "other_tools": other_tools_page(),
        "api": api_page(),
    }
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text("utf-8") != text:  # else it would be built anew
            write_atomic(path, text.encode())


def moved(path: Path) -> str:
    """A page of the repository, its links to files right from `generated`."""
    text = re.sub(r"\]\((?!https?:|#)", "](../../", path.read_text("utf-8"))
    return text.replace("](../../CHANGELOG.md", "](changelog.md").replace("../../notebooks/", "../")


def catalogue() -> str:
    """All metrics as a table: for the README."""
    rows = [
        (f"`{m.name}`", m.function.__module__.rpartition(".")[2], _ends(m), m.per, m.title)
        for m in METRICS
    ]
    return table(("name", "family", "worst to best", "one per", "what"), rows)


def metrics_page() -> str:
    """Each metric in full."""
    parts = ["# Metrics\n", "What `segjax explain` says, of all that there are.\n"]
    for name, metrics in families().items():
        parts.append(f"## {name.capitalize()}\n")
        for metric in metrics:
            parts.append(f"### {metric.name}\n")
            parts.extend(_section(*s) for s in explain(metric.name).sections().items())
    return "\n".join(parts)


def _section(heading: str, entries: Iterable[str]) -> str:
    entries = [escaped(entry) for entry in entries]
    if heading == "title":
        return f"{entries[0]}.\n"
    if len(entries) == 1:
        return f"{heading.capitalize()}\n: {entries[0]}\n"
    return f"{heading.capitalize()}\n" + "".join(f": {entry}\n\n" for entry in entries)


def other_tools_page() -> str:
    """Which tool agrees with which metric, and how far the others are from it."""
    peers = {}
    for metric in METRICS:
        for peer in (*explain(metric.name).peers, *_of_options(metric.name)):
            peers.setdefault((peer.name, peer.version), {})[peer.metric, peer.quantity] = peer
    parts = [
        "# How our numbers relate to those of other tools\n",
        "Tools that print a number of the same name seldom print the same number. Each was run\n"
        "once, in the version that is named, on the same frozen pairs of masks (empty ones,\n"
        "single voxels, masks at the border, anisotropic voxels, volumes, touching objects): here\n"
        "is by how much what it printed differs from what segjax says, and what of segjax comes\n"
        "nearest. The tests recompute our side of it whenever something changes.\n",
    ]
    for (name, version), found in sorted(peers.items(), key=lambda item: item[0][0].lower()):
        parts.append(f"## {name} {version}\n")
        head = ("its number", "what that is", "ours", "they are", "nearest of ours")
        parts.append(table(head, [_against(peer) for peer in found.values()]))
    return "\n".join(parts)


def _of_options(name: str) -> Iterable[Peer]:
    from segjax.metrics.boundary import COMPOSED

    for text in COMPOSED.values():
        if text.partition("(")[0] == name:
            yield from explain(text).peers


def _against(peer: Peer) -> tuple[str, ...]:
    found = f"the same in all {peer.cases} cases"
    if not peer.agrees:
        found = f"different in {peer.differing} of {peer.cases}, by up to {peer.largest:.2g}"
    nearest = "" if peer.nearest is None else f"`{peer.nearest}`"
    if peer.nearest is not None:
        nearest += f", within {peer.nearest_largest:.2g}" if peer.nearest_largest else ", the same"
    return f"`{peer.quantity}`", peer.convention, f"`{peer.metric}`", found, nearest


def api_page() -> str:
    """The docstrings of what is public."""
    parts = [f"# Functions and classes\n\nVersion {segjax.__version__}.\n"]
    for heading, modules in MODULES.items():
        parts.append(f"## {heading}\n")
        for module in modules:
            members = "" if module == "segjax" else ":members:\n"
            parts.append(
                f"### {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   {members}```\n"
            )
    return "\n".join(parts)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Rows in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *([escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escaped(text: str) -> str:
    """Text of which nothing is markup, but for what is in backquotes."""
    parts = text.split("`")
    for i in range(0, len(parts), 2):
        for mark in "\\|*_<>[]$":
            parts[i] = parts[i].replace(mark, f"\\{mark}")
    for i in range(1, len(parts), 2):
        parts[i] = parts[i].replace("|", "\\|")
    return "`".join(parts)


def _ends(metric: segjax.Metric) -> str:
    if metric.best is None or metric.worst is None:
        return "a count"
    return " to ".join(f"{end:g}".replace("inf", "infinity") for end in (metric.worst, metric.best))


def renewed(readme: str) -> str:
    """The README with the table of now."""
    head, _, rest = readme.partition(START)
    _, end, tail = rest.partition(END)
    return f"{head}{START}\n{catalogue()}\n{end}{tail}"


if __name__ == "__main__":
    write_atomic(README, renewed(README.read_text("utf-8")).encode())
