import jax
import numpy as np

from segjax.leaderboard.calibration import draw_units, interval_coverage
from segjax.leaderboard.resampling import make_plan


KEY = jax.random.key(3)


def test_intervals_of_normal_scores_keep_their_level(rng):
    scores = rng.normal(size=(4, 30))
    found = {
        c.method: c.found.mean()
        for c in interval_coverage(
            KEY,
            make_plan(30),
            scores,
            methods=("percentile", "t", "studentized"),
            boards=400,
            count=500,
        )
    }
    assert abs(found["t"] - 0.95) < 0.03
    assert abs(found["studentized"] - 0.95) < 0.03
    assert found["percentile"] < found["t"]


def test_few_clusters_are_covered_by_students_interval_alone(rng):
    clusters = np.repeat(np.arange(8), 6)
    scores = (rng.normal(size=(3, 8, 1)) + rng.normal(size=(3, 8, 6))).reshape(3, 48)
    plan = make_plan(48, clusters=clusters)
    found = interval_coverage(KEY, plan, scores, methods=("percentile", "t"), boards=400, count=300)
    percentile, t = (c.found.mean() for c in found)
    assert percentile < 0.91 < 0.92 < t


def test_boards_are_drawn_from_their_own_strata():
    plan = make_plan(9, strata=[0, 0, 0, 1, 1, 1, 1, 1, 1])
    drawn = draw_units(KEY, plan, 500)
    assert drawn.shape == (500, 9)
    assert set(np.unique(drawn[:, :3])) == {0, 1, 2}
    assert set(np.unique(drawn[:, 3:])) == set(range(3, 9))
