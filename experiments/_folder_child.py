"""What `folder_speed` times in processes of their own, which import no more than they need."""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


CLASSES = 4  # of the pictures, background included


def score_folder(place: str) -> None:
    """What `segjax evaluate` does, without the output."""
    from segjax import folder  # after which a process is no plain one any more

    first: list[float] = []

    def progress(done: int, total: int, name: str) -> None:
        if not first:
            first.append(time.time())

    options = folder.Options(metrics=("dice", "iou"))
    begun, cpu, wall = time.time(), time.process_time(), time.perf_counter()
    report = folder.run(
        Path(place) / "references", Path(place) / "predictions", options, progress=progress
    )
    spent = time.process_time() - cpu, time.perf_counter() - wall
    labels = range(1, CLASSES)
    dice = np.stack([report.table.column("dice", k) for k in labels], -1)
    _tell(spent, dice, begun_at=begun, first_at=first[0], **report.summary["compilations"])


def score_plainly(place: str) -> None:
    """Read the same files, count pairs of labels, and take Dice and IoU."""
    from PIL import Image

    dice, iou = [], []
    cpu, wall = time.process_time(), time.perf_counter()
    for path in sorted((Path(place) / "references").iterdir()):
        r = np.asarray(Image.open(path))
        p = np.asarray(Image.open(Path(place) / "predictions" / path.name))
        pairs = np.bincount((r * np.uint8(CLASSES) + p).reshape(-1), minlength=CLASSES**2)
        table = pairs.reshape(CLASSES, CLASSES)
        both, sizes = np.diag(table)[1:], (table.sum(0) + table.sum(1))[1:]
        dice.append(2 * both / sizes)
        iou.append(both / (sizes - both))
    _tell((time.process_time() - cpu, time.perf_counter() - wall), np.stack(dice))


def _tell(spent: tuple[float, float], dice: np.ndarray, **more: Any) -> None:
    print(json.dumps({"call": spent, "dice": dice.tolist(), "peak_mb": _peak_mb(), **more}))


def _peak_mb() -> float:
    # Linux hands ru_maxrss down from the process that started this one; VmHWM begins anew.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
