"""A bar on the terminal while a command works."""

import sys
import time
from typing import Any


class Progress:
    """A bar with rate and time left, on standard error; nothing where that is no terminal."""

    def __init__(self, hidden: bool):
        self._hidden = hidden or not sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._begun = time.perf_counter()

    def __enter__(self) -> "Progress":
        return self

    def update(self, done: int, cases: int, name: str) -> None:
        if self._hidden:
            return
        if self._bar is None:
            self._bar = self._start(cases)
        rate = done / max(time.perf_counter() - self._begun, 1e-9)
        self._bar.update(self._task, completed=done, rate=f"{rate:.1f} cases/s")

    def _start(self, cases: int) -> Any:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress as Bar,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Bar(
            TextColumn("scoring"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        bar.start()
        self._task = bar.add_task("scoring", total=cases, rate="")
        return bar

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
