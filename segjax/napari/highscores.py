"""The high-score table: who segmented which image how well, in a file."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segjax._errors import InputError
from segjax.io import write_atomic
from segjax.io.scores import read_scores
from segjax.io.sheet import Row, Status
from segjax.metrics import get_metric
from segjax.napari.live import Mark
from segjax.table import csv_text


COLUMNS = ("model", "case", "label", "metric", "score", "status")
_LONGEST = 120


def default_file() -> Path:
    """Where scores are kept: `$SEGJAX_SCORES`, else in the user's data folder."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("SEGJAX_SCORES") or Path(home) / "segjax" / "high_scores.csv")


@dataclass(frozen=True)
class HighScores:
    """Scores by player and image; a table that `segjax leaderboard` reads.

    Attributes:
        rows: one per player, image, metric and class.
    """

    rows: tuple[Row, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "HighScores":
        """The scores in a file; none if there is no file yet.

        Raises:
            InputError: if the file is none of scores.
        """
        return cls(tuple(read_scores(path).rows)) if path.exists() else cls()

    def write(self, path: Path) -> None:
        """Write all of them, or leave the file as it was.

        Raises:
            InputError: if there are none, or the file cannot be written.
        """
        if not self.rows:
            raise InputError("there are no scores yet; enter some first")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{path.parent}: cannot be made ({error.strerror}); choose another file"
            ) from None
        write_atomic(path, self.to_csv())

    def to_csv(self) -> str:
        """A long table."""
        rows = (
            (r.model, r.case, r.label, r.metric, r.score, r.status.name.lower()) for r in self.rows
        )
        return csv_text(COLUMNS, rows)

    def entered(self, player: str, case: str, marks: Mapping[str, Mark]) -> "HighScores":
        """With the scores of a player for an image, in place of the player's earlier ones.

        Args:
            player: who, and how.
            case: the image.
            marks: by name of the metric.

        Raises:
            InputError: if a name is empty or too long, or there is no score.
        """
        player, case = _name(player, "player"), _name(case, "image")
        if not marks:
            raise InputError("there is no score to enter; choose layers that can be scored")
        kept = [r for r in self.rows if (r.model, r.case) != (player, case)]
        return HighScores((*kept, *_rows(player, case, marks)))

    @property
    def players(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(r.model for r in self.rows))

    @property
    def cases(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(r.case for r in self.rows))

    def metrics(self, case: str) -> tuple[str, ...]:
        """Metrics of which an image has scores."""
        return tuple(dict.fromkeys(r.metric for r in self.rows if r.case == case))

    def standings(self, case: str, metric: str) -> list[tuple[str, float]]:
        """Players and their scores of an image, the best first, those without a score last.

        Of several classes, the mean over those that have a score.
        """
        found: dict[str, list[float]] = {}
        for r in self.rows:
            if (r.case, r.metric) == (case, metric):
                found.setdefault(r.model, []).append(r.score)
        scores = {player: _mean(values) for player, values in found.items()}
        return sorted(scores.items(), key=lambda item: _badness(metric, item[1]))


def _rows(player: str, case: str, marks: Mapping[str, Mark]) -> list[Row]:
    return [
        Row(player, case, str(k), get_metric(name).name, each.value, Status[each.status.upper()])
        for name, mark in marks.items()
        for k, each in (mark.by_class or {"": mark}).items()
    ]


def _name(text: str, what: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise InputError(f"give the {what} a name of 1 to {_LONGEST} characters")
    return name


def _mean(values: list[float]) -> float:
    defined = [v for v in values if not math.isnan(v)]
    return sum(defined) / len(defined) if defined else math.nan


def _badness(metric: str, score: float) -> float:
    if math.isnan(score):
        return math.inf
    try:
        known = get_metric(metric)
    except InputError:
        return -score
    if known.higher_is_better is None:
        return 0.0
    size = abs(score) if known.signed else score
    return -size if known.higher_is_better else size
