"""The high-score table: kept in a file that a leaderboard is made of."""

import json

import numpy as np
import pytest

from segjax._errors import InputError
from segjax.cli import main
from segjax.napari.highscores import HighScores, default_file
from segjax.napari.live import Options, Question, answer
from tests.napari.scenes import squares


def marks(result, **options):
    reference, _ = squares()
    options = Options(metrics=("dice", "hausdorff(percentile=95)"), **options)
    return (
        answer(Question(reference=reference, results={"r": result}, options=options))
        .results["r"]
        .marks
    )


def test_what_is_written_is_read_back(scores_file):
    assert default_file() == scores_file
    assert HighScores.read(scores_file).rows == ()
    _, p = squares()
    scores = HighScores().entered("ada: Otsu", 'a, b"c', marks(p))
    scores = scores.entered("=bob", 'a, b"c', marks(0 * p))
    scores.write(scores_file)
    read = HighScores.read(scores_file)
    assert read.to_csv() == scores.to_csv()
    assert read.players == ("ada: Otsu", "=bob")


def test_a_player_is_on_the_table_once_per_image():
    _, p = squares()
    scores = HighScores().entered("ada", "x", marks(p)).entered("ada", "y", marks(p))
    again = scores.entered(" ada ", "x", marks(np.where(p == 9, 0, p)))
    assert len(again.rows) == len(scores.rows) == 4
    assert dict(again.standings("x", "dice"))["ada"] > dict(scores.standings("x", "dice"))["ada"]
    assert again.standings("y", "dice") == scores.standings("y", "dice")


def test_the_best_is_first_and_who_missed_everything_last():
    reference, p = squares()
    scores = HighScores().entered("fair", "x", marks(p)).entered("none", "x", marks(0 * p))
    scores = scores.entered("best", "x", marks(reference))
    for metric in ("dice", "hausdorff(percentile=95)"):
        assert [name for name, _ in scores.standings("x", metric)] == ["best", "fair", "none"]


def test_classes_keep_their_scores():
    _, p = squares()
    scores = HighScores().entered("ada", "x", marks(p, labels="classes"))
    assert {row.label for row in scores.rows} == {"1", "2", "3", "4", "7", "8", "9"}


@pytest.mark.parametrize(
    ("player", "case"), [("", "x"), ("ada", " "), ("a" * 200, "x"), ("a\x1b[", "x")]
)
def test_names_that_are_none_are_refused(player, case):
    _, p = squares()
    with pytest.raises(InputError, match="name of 1 to 120 characters"):
        HighScores().entered(player, case, marks(p))


def test_a_file_of_something_else_is_refused_and_kept(tmp_path):
    path = tmp_path / "photo.csv"
    path.write_bytes(b"\x89PNG\r\n\x00\x00")
    with pytest.raises(InputError, match=r"photo\.csv"):
        HighScores.read(path)
    _, p = squares()
    with pytest.raises(InputError, match="choose another file"):
        HighScores().entered("ada", "x", marks(p)).write(path / "inside" / "scores.csv")
    with pytest.raises(InputError, match="no scores yet"):
        HighScores().write(tmp_path / "none.csv")
    assert path.read_bytes() == b"\x89PNG\r\n\x00\x00"


def test_a_leaderboard_is_made_of_it(scores_file, tmp_path, rng):
    reference, p = squares()
    scores = HighScores()
    for i in range(6):
        keep = np.isin(p, rng.permutation([7, 8, 9])[:2])
        scores = scores.entered("ada: Otsu", f"image {i}", marks(np.where(keep, p, 0)))
        scores = scores.entered(
            "bob", f"image {i}", marks(np.where(rng.random(p.shape) > 0.1, reference, 0))
        )
    scores.write(scores_file)
    board = tmp_path / "board"
    assert main(["leaderboard", str(scores_file), "-o", str(board), "--replicates", "200"]) == 0
    found = json.loads((board / "leaderboard.json").read_text())
    assert [model["name"] for model in found["models"]] == ["ada: Otsu", "bob"]
    assert (board / "index.html").is_file()
