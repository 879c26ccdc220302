"""Live scores in napari: does the window stay responsive, and does memory stay, while painting?

A brush paints on a result of a few hundred objects in a napari viewer without a screen; after
each stroke the widget scores it. A timer beats in the window's event loop, and the longest
pause between two beats says how long the window could not react: with strokes alone, and with
strokes that are scored. Of each pause, the time on the processor tells work from waiting for
other programs. Then many more updates, and how much memory the process holds at the start and
at the end. See results/napari_live.json (four minutes on two CPU cores).

    python -m experiments.napari_live
    python -m experiments.napari_live --side 256 --updates 20 --long 40    # a quick look

Needs pip install "segjax[napari]" PyQt6; without napari there is nothing to measure.
"""

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from experiments import _record


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults make the published figures."""

    side: int = 1024
    cells: int = 20
    brush: int = 15
    updates: int = 200
    long: int = 500
    warm: int = 60
    seed: int = 0


SMOKE = Config(side=96, cells=4, updates=3, long=4, warm=1)


def run(config: Config) -> list[dict[str, Any]]:
    """One row per situation; one that says so if napari is absent."""
    if not find_spec("napari") or not find_spec("qtpy"):
        return [{"peer": "napari", "absent": True}]
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import napari  # pyright: ignore[reportMissingImports]

    viewer = napari.Viewer(show=False)
    try:
        return _measure(viewer, config)
    finally:
        viewer.close()


def _measure(viewer: Any, config: Config) -> list[dict[str, Any]]:
    from segjax.napari.qt.widget import ScoreLabels

    rng = np.random.default_rng(config.seed)
    truth = _cells(config)
    viewer.add_labels(truth, name="truth")
    layer = viewer.add_labels(np.roll(truth, 3, axis=0), name="result")
    layer.brush_size = config.brush

    def stroke() -> None:
        where = tuple(rng.integers(0, config.side, 2).tolist())
        layer.paint(where, int(rng.integers(0, config.cells**2 + 1)))

    rows = [_beaten("strokes alone", config.updates, stroke, lambda: True)]
    widget = ScoreLabels(viewer)

    def scored_stroke() -> None:
        while widget.settled:  # a stroke may change nothing
            stroke()
        while not widget.settled:
            _turn()

    while not widget.settled:
        _turn()
    for _ in range(3):
        scored_stroke()  # other programs than the first are compiled where sizes change
    rows.append(_beaten("strokes, scored", config.updates, scored_stroke, lambda: widget.settled))
    rows.append(_held(config, scored_stroke))
    widget.close()
    widget.deleteLater()
    _turn()
    return rows


def _cells(config: Config) -> np.ndarray:
    """Squares of objects in rows, a border between them."""
    step = config.side // config.cells
    number = np.arange(1, config.cells**2 + 1, dtype=np.int32).reshape(config.cells, config.cells)
    cells = np.kron(number, np.ones((step, step), np.int32))
    cells[::step] = cells[:, ::step] = 0
    room = config.side - len(cells)
    return np.pad(cells, (0, room))


def _turn() -> None:
    """Let the event loop do what is due."""
    from qtpy.QtWidgets import QApplication  # pyright: ignore[reportMissingImports]

    QApplication.processEvents()
    time.sleep(0.0005)


def _beaten(
    what: str, updates: int, act: Callable[[], None], rested: Callable[[], bool]
) -> dict[str, Any]:
    """Act again and again, and look how long the event loop was blocked at most."""
    from qtpy.QtCore import QTimer  # pyright: ignore[reportMissingImports]

    now = lambda: (time.perf_counter(), time.thread_time())
    beats = [now()]
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(now()))
    timer.start(1)
    seconds = []
    for _ in range(updates):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
        _turn()
    while not rested():
        _turn()
    timer.stop()
    blocks, worked = 1000 * np.diff([*beats, now()], axis=0).T
    return {
        "what": what,
        "updates": updates,
        "longest_block_ms": round(float(blocks.max()), 1),
        "longest_block_cpu_ms": round(float(worked.max()), 1),
        "block_99_percent_ms": round(float(np.percentile(blocks, 99)), 1),
        "median_update_ms": round(1000 * float(np.median(seconds)), 1),
    }


def _held(config: Config, act: Callable[[], None]) -> dict[str, Any]:
    """Memory before and after many updates; the first fill caches and are not counted."""
    for _ in range(config.warm):
        act()
    start, objects = _memory(), len(gc.get_objects())
    for _ in range(config.long):
        act()
    end = _memory()
    return {
        "what": "memory",
        "updates": config.long,
        "start_mb": round(start, 1),
        "end_mb": round(end, 1),
        "grown_kb_per_update": round(1000 * (end - start) / config.long, 1),
        "grown_python_objects": len(gc.get_objects()) - objects,
    }


def _memory() -> float:
    """What the process holds, in MB."""
    import psutil  # pyright: ignore[reportMissingImports, reportMissingModuleSource]

    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


if __name__ == "__main__":
    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(*rows, sep="\n")
    seconds = time.perf_counter() - start
    print(_record.save("napari_live", config, rows, seconds, packages=("napari", "PyQt6")))
