"""Imports point one way, and what must stay light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import segjax


ROOT = Path(segjax.__file__).parent
# Each may import those before it; rooms in one tuple do not import each other.
ORDER = (
    ("_errors", "_version"),
    ("hosts",),
    ("_numerics",),
    ("_compiling", "_devices"),
    ("ops",),
    ("case",),
    ("statistics",),
    ("metrics",),
    ("losses",),
    ("explanation",),
    ("simulation",),
    ("table", "io"),
    ("evaluation", "objects"),
    ("tiles",),
    ("streaming",),
    ("report",),
    ("leaderboard",),
    ("comparison",),
    ("folder",),
    ("quality",),
    ("demo", "compat", "doctor", "napari", "benchmark"),
    ("cli",),
    ("__init__", "__main__"),
)
RANK = {room: i for i, rooms in enumerate(ORDER) for room in rooms}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "segjax":
            rooms = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            yield from rooms
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("segjax."))


def test_imports_point_one_way():
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for other in imported(path):
            inside = other == room or other not in RANK
            if not inside and RANK[other] >= RANK[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {other}")
    assert not wrong


def test_every_room_has_its_place():
    rooms = {p.stem for p in ROOT.glob("*.py")} | {
        p.parent.name for p in ROOT.glob("*/__init__.py")
    }
    assert rooms == set(RANK)


def loaded_after(code):
    listing = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\n")[-2].split())


def test_importing_segjax_or_printing_help_loads_no_jax():
    heavy = {"jax", "numpy", "flax", "scipy"}
    assert not heavy & loaded_after("import segjax")
    assert not {*heavy, "napari", "qtpy"} & loaded_after("import segjax.napari")
    assert not heavy & loaded_after("from segjax.cli import main; main(['--help'])")
    assert not heavy & loaded_after("from segjax.cli import main; main(['evaluate', '--help'])")


def test_files_and_pages_need_no_jax_of_their_own():
    for module in ("io", "report.charts"):
        for path in (ROOT / module.replace(".", "/")).rglob("*.py"):
            names = {
                alias.name
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            } | {
                node.module
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ImportFrom)
            }
            assert not {n for n in names if n and n.split(".")[0] == "jax"}, path
