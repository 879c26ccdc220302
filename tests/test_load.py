"""Many cases and large ones: time and memory stay in bounds, and counts exact."""

import csv
import json
import re
import sys

import numpy as np
import pytest

import segjax
from tests.hosts import COMMAND, finish, start
from tests.soak import FULL


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CASES = 10_000 if FULL else 300
# Where the work has begun, modules being imported; and what it took.
MEASURE = """
import atexit, sys, time
begun = time.perf_counter()
def tell():
    # Not the resources' own maximum, which is that of the parent before it was replaced.
    with open("/proc/self/status") as file:
        peak = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    print(time.perf_counter() - begun, time.process_time(), peak, file=sys.stderr)
atexit.register(tell)
"""


def measured(*arguments, cwd, timeout=600):
    """What a command prints, its seconds, those of the processor, and the most bytes it holds."""
    # With XLA's own settings, where time is the matter; those of tests compile sooner.
    env = {"XLA_FLAGS": ""} if FULL else {}
    process = start(*arguments, before=MEASURE, code=COMMAND, cwd=cwd, env=env)
    status, out, err = finish(process, timeout)
    assert status == 0, err
    return out, *map(float, err.split()[-3:])


def tiny(i):
    reference = np.zeros((16, 16), np.uint8)
    reference[2:9, 3 : 4 + i % 11] = 1
    return reference, np.roll(reference, i % 3, axis=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny cases; a tenth of them, too."""
    place = tmp_path_factory.mktemp("load")
    for name, count in (("few", CASES // 10), ("many", CASES)):
        for side in "rp":
            (place / name / side).mkdir(parents=True)
        for i in range(count):
            for side, array in zip("rp", tiny(i), strict=True):
                np.save(place / name / side / f"c{i:05}.npy", array)
    return place


def test_many_tiny_cases_are_scored_in_little_time_and_memory(folders):
    taken = {}
    for name in ("few", "many"):
        out, *taken[name] = measured("evaluate", "r", "p", "-q", "-o", "out", cwd=folders / name)
    assert f"{CASES} cases" in out
    (_, few, low), (seconds, many, high) = taken.values()
    more, written = CASES - CASES // 10, folders / "many" / "out"
    page = (written / "report.html").stat().st_size
    print(
        f"evaluate: {CASES} cases of 16 x 16 in {seconds:.1f} s, "
        f"{1e3 * (many - few) / more:.2f} ms of the processor and "
        f"{(high - low) / more / 1e3:.1f} kB each, {high / 1e6:.0f} MB at most; "
        f"report.html {page / 1e6:.1f} MB"
    )
    assert high - low < 2e7 + 2e4 * more
    assert page < 3e5 + 1e3 * CASES
    if FULL:
        assert many - few < 3e-3 * more
    with (written / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "dice"]
    assert len(rows) == CASES
    for i in (0, 1, CASES - 1):  # rows of the reference that a shift by up to two leaves
        assert float(rows[i]["score"]) == pytest.approx((7 - i % 3) / 7)
    assert re.search(r"</html>\s*$", (written / "report.html").read_text())


def test_doctor_looks_at_many_tiny_cases(folders):
    out, seconds, _, peak = measured("doctor", "r", "p", cwd=folders / "many")
    print(f"doctor: {CASES} cases in {seconds:.1f} s, {peak / 1e6:.0f} MB at most")
    assert str(CASES) in out
    assert peak < 1e9


def test_a_board_of_many_cases(tmp_path, rng):
    scores = rng.random((CASES, 5)) * 0.2 + np.linspace(0.5, 0.7, 5)
    with (tmp_path / "scores.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "model", "dice"])
        for i, row in enumerate(scores):
            rows.writerows((f"c{i}", model, x) for model, x in zip("abcde", row, strict=True))
    _, seconds, _, peak = measured("leaderboard", "scores.csv", "-o", "out", cwd=tmp_path)
    page = (tmp_path / "out" / "index.html").stat().st_size
    print(
        f"leaderboard: {CASES} cases of 5 models in {seconds:.1f} s, {peak / 1e6:.0f} MB at most; "
        f"index.html {page / 1e6:.1f} MB"
    )
    found = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    assert [row["model"] for row in found["results"][0]["table"]] == [*"edcba"]
    assert peak < 2e9
    assert page < 1e6 + 2e3 * CASES


# Large cases

SIDE = 1000 if FULL else 200
BOX = (slice(40, 50), slice(30, 50), slice(20, 50))  # in hundredths of the side


def test_a_case_of_a_thousand_million_voxels_is_scored_in_tiles(tmp_path):
    """A box against itself moved by three voxels: of its length, three are gone and three new."""
    length = 3 * SIDE // 10
    for name, shift in (("r", 0), ("p", 3)):
        stored = np.lib.format.open_memmap(tmp_path / f"{name}.npy", "w+", np.uint8, (SIDE,) * 3)
        box = [slice(s.start * SIDE // 100, s.stop * SIDE // 100) for s in BOX]
        box[2] = slice(box[2].start + shift, box[2].stop + shift)
        stored[tuple(box)] = 1
        del stored
    wanted = ("-m", "dice,iou,hd95", "--format", "csv")
    tiles = () if FULL else ("--tile", "128")  # unasked from 2^28 voxels up
    out, seconds, _, peak = measured("evaluate", "r.npy", "p.npy", *wanted, *tiles, cwd=tmp_path)
    print(f"evaluate: {SIDE}^3 voxels in tiles in {seconds:.1f} s, {peak / 1e6:.0f} MB at most")
    found = {row["metric"]: float(row["score"]) for row in csv.DictReader(out.splitlines())}
    assert found["dice"] == pytest.approx((length - 3) / length)
    assert found["iou"] == pytest.approx((length - 3) / (length + 3))
    assert found["hausdorff(percentile=95)"] == 3
    assert peak < 1.5e9


@pytest.mark.skipif(not FULL, reason="takes 2.2 GB: make soak")
def test_counts_in_memory_are_exact_beyond_32_bits():
    """Both images are one stretch of memory, seen from two places."""
    side, shift, margin = 1300, 1000, 10**6
    size = side**3
    memory = np.zeros(size + shift, np.uint8)
    memory[margin : size - margin] = 1
    found = segjax.evaluate(
        reference=memory[:size].reshape((side,) * 3),
        prediction=memory[shift:].reshape((side,) * 3),
        metrics=["tp", "fp", "fn", "tn", "dice"],
        labels=(1,),
    )
    ones = size - 2 * margin
    assert ones > 2**31
    expected = {"tp": ones - shift, "fp": shift, "fn": shift, "tn": 2 * margin - shift}
    assert {name: int(found[name][0]) for name in expected} == expected
    assert float(found["dice"][0]) == pytest.approx((ones - shift) / ones, rel=1e-12)
