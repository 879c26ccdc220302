"""What sets of scores say about methods: intervals, ranks, verdicts, and how far to trust them."""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from segjax.leaderboard.boards import Board as Board, board as board
    from segjax.leaderboard.intervals import confidence_interval as confidence_interval
    from segjax.leaderboard.options import Options as Options
    from segjax.leaderboard.scores import (
        Scores as Scores,
        from_arrays as from_arrays,
        from_tables as from_tables,
        gather_scores as gather_scores,
    )
    from segjax.leaderboard.slices import Slice as Slice
    from segjax.leaderboard.verification import read_document as read_document, verify as verify
    from segjax.leaderboard.writing import write as write

# Where they live: `segjax evaluate` asks for a summary only, and is not to wait for the rest.
_HOMES = {
    "Board": "boards",
    "board": "boards",
    "confidence_interval": "intervals",
    "Options": "options",
    "Scores": "scores",
    "from_arrays": "scores",
    "from_tables": "scores",
    "gather_scores": "scores",
    "Slice": "slices",
    "read_document": "verification",
    "verify": "verification",
    "write": "writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'segjax.leaderboard' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"segjax.leaderboard.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
