"""What a training run says of itself: lines of a CSV file, and TensorBoard events."""

import csv
import importlib
import importlib.util
import io
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segjax.io import output_folder, write_atomic
from segjax.io._problem import problem, reason
from segjax.io._text import read_text
from segjax.io.write import unwritable
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
        self.rows = _rows(self.path, after) if after and self.path.exists() else []
        self._store()
        has_writer = importlib.util.find_spec("tensorboardX") is not None
        self.events = _Events(folder / "events", after=after) if has_writer else None

    def write(self, step: int, values: Mapping[str, int | float]) -> None:
        """Add one line: the step, and what there is to say of it."""
        self.rows.append({"step": step, **values})
        self._store()
        if self.events is not None:
            self.events.write(step, values)

    def _store(self) -> None:
        text = io.StringIO(newline="")
        if self.rows:
            writer = csv.DictWriter(text, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
        write_atomic(self.path, text.getvalue().encode())


def _rows(path: Path, until: int) -> list[dict[str, Any]]:
    """The lines of an earlier run up to a step."""
    text = io.StringIO(read_text(path), newline="")
    try:
        rows = [*csv.DictReader(text, restkey="")]
        if any("" in row or None in row.values() for row in rows):
            raise ValueError("lines of different lengths")
        return [row for row in rows if int(row["step"]) <= until]
    except (csv.Error, KeyError, ValueError) as error:
        raise problem(path, f"is no log of a training ({reason(error)})", "delete it") from error


class _Events:
    """A file of TensorBoard events, on the disk when a write returns.

    The writer of tensorboardX works in a thread of its own, where a full disk goes unnoticed.
    """

    def __init__(self, folder: Path, *, after: int):
        self.path = output_folder(folder) / f"events.out.tfevents.{time.time_ns()}"
        records = [_record(file_version="brain.Event:2")]
        if after:  # TensorBoard forgets what earlier files have from here on
            log = _protocol().SessionLog
            start = log(status=log.START)
            records.append(_record(step=after + 1, session_log=start))
        self._append(records)

    def write(self, step: int, values: Mapping[str, int | float]) -> None:
        from tensorboardX.summary import scalar  # pyright: ignore[reportMissingImports]

        self._append([_record(step=step, summary=scalar(n, v)) for n, v in values.items()])

    def _append(self, records: list[bytes]) -> None:
        try:
            with self.path.open("ab") as file:
                file.write(b"".join(records))
        except OSError as error:
            raise unwritable(self.path, error) from error


def _record(**what: Any) -> bytes:
    """An event as it stands in the file: its length and the event, each with a checksum."""
    from tensorboardX.record_writer import (  # pyright: ignore[reportMissingImports]
        masked_crc32c,
    )

    data = _protocol().Event(wall_time=time.time(), **what).SerializeToString()
    length = struct.pack("<Q", len(data))
    summed = (part + struct.pack("<I", masked_crc32c(part)) for part in (length, data))
    return b"".join(summed)


def _protocol() -> Any:
    return importlib.import_module("tensorboardX.proto.event_pb2")
