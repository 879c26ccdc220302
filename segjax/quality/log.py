"""What a training run says of itself: lines of a CSV file, and TensorBoard events."""

import csv
import importlib.util
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segjax.io import write_atomic
from segjax.quality.scoring import Agreement


@dataclass(frozen=True)
class Progress:
    """A run at one of its validations.

    Attributes:
        step: updates so far.
        steps: of all.
        pairs: seen so far.
        seconds: since the start, those before a resume included.
        rate: pairs per second since the last validation.
        loss: mean squared error of the scores since then.
        validation: how the averaged weights do on the fixed validation set, by output.
    """

    step: int
    steps: int
    pairs: int
    seconds: float
    rate: float
    loss: float
    validation: Mapping[str, Agreement]

    @property
    def row(self) -> dict[str, int | float]:
        """What is logged of it."""
        row = {
            "pairs": self.pairs,
            "seconds": round(self.seconds, 1),
            "pairs per second": round(self.rate, 1),
            "loss": self.loss,
        }
        for output, result in self.validation.items():
            for name in ("r", "mae", "rmse", "bias"):
                row[f"{output} {name}"] = getattr(result, name)
        return row


class Log:
    """`log.csv` in a folder, and TensorBoard events beside it where tensorboardX is there."""

    def __init__(self, folder: Path, *, after: int = 0):
        """Open the log; what was logged beyond the step that a run resumes after is forgotten."""
        self.path = folder / "log.csv"
        self.rows: list[dict[str, Any]] = []
        if after and self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= after]
        self._store()
        self.events = None
        if importlib.util.find_spec("tensorboardX"):
            from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

            self.events = SummaryWriter(str(folder / "events"), purge_step=after or None)

    def write(self, step: int, values: Mapping[str, int | float]) -> None:
        """Add one line: the step, and what there is to say of it."""
        self.rows.append({"step": step, **values})
        self._store()
        if self.events is not None:
            for name, value in values.items():
                self.events.add_scalar(name, value, step)
            self.events.flush()

    def _store(self) -> None:
        text = io.StringIO(newline="")
        if self.rows:
            writer = csv.DictWriter(text, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
        write_atomic(self.path, text.getvalue().encode())
