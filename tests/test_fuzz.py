"""What a stranger has made of a file is read, or refused in a line that names it; nothing else."""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count

import numpy as np
import pytest

from segjax import InputError
from segjax.io import read_labels
from tests.fuzz import seeds
from tests.fuzz.readers import READERS
from tests.soak import FULL


INPUTS = 110_000 if FULL else 2200
WORKERS = 2 if FULL else 1
COUNTS = {
    name: max(10, round(INPUTS * reader.share / sum(r.share for r in READERS.values())))
    for name, reader in READERS.items()
}


def run(result, jobs):
    """Read inputs in a process; returns what it died of, and what it noted."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.child", result]
        + [f"{name}:{start}:{stop}" for name, (start, stop) in jobs.items()],
        env=os.environ | {"MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
    )
    lines = result.read_text(errors="replace").splitlines() if result.exists() else []
    noted = [line.startswith('{"reader"') for line in lines]
    entries = [json.loads(line) for line, ours in zip(lines, noted, strict=True) if ours]
    if done.returncode == 0:
        return "", entries
    other = [line for line, ours in zip(lines, noted, strict=True) if not ours]
    return "\n".join([f"died ({done.returncode})", *other, done.stderr]), entries


def outcomes(folder, names):
    """What each input comes to; a process that died is followed by another."""
    folder.mkdir()
    found, jobs = {}, {name: (0, COUNTS[name]) for name in names}
    for attempt in count():
        died, entries = run(folder / str(attempt), jobs)
        found |= {(e["reader"], e["done"]): e["outcome"] for e in entries if "done" in e}
        if not died:
            return found
        assert entries, died
        last, i = entries[-1]["reader"], entries[-1].get("begun", entries[-1].get("done"))
        found[last, i] = died
        left = names[names.index(last) :]
        jobs = {name: (0, COUNTS[name]) for name in left} | {last: (i + 1, COUNTS[last])}
    raise AssertionError


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_every_reader_reads_or_refuses(tmp_path):
    """No crash, no traceback, no warning, no line printed, no gigabyte, no ten seconds."""
    with ThreadPoolExecutor(WORKERS) as pool:
        shares = [[*COUNTS][i::WORKERS] for i in range(WORKERS)]
        work = [pool.submit(outcomes, tmp_path / str(i), share) for i, share in enumerate(shares)]
        found = {key: outcome for one in work for key, outcome in one.result().items()}
    came = Counter(found.values())
    print(
        f"fuzz: {len(found)} inputs, {len(COUNTS)} readers, {came['read']} read, "
        f"{came['refused']} refused"
    )
    wrong = [
        f"python -m tests.fuzz.child - '{name}:{i}:{i + 1}'\n{outcome[-3000:]}"
        for (name, i), outcome in found.items()
        if outcome not in ("read", "refused")
    ]
    assert not wrong, "\n\n".join([f"{len(wrong)} are wrong", *wrong[:20]])
    assert len(found) == sum(COUNTS.values())
    assert min(came["read"], came["refused"]) > len(found) / 10


FAMILIES = {
    "TIFF": seeds.tiffs,
    "PNG and BMP": seeds.pictures,
    "NumPy": seeds.arrays,
    "NIfTI": seeds.niftis,
    "ITK": seeds.itk,
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore:.*labels stored as float")
def test_a_file_that_is_cut_anywhere_never_gives_other_labels(family, tmp_path, caplog, rng):
    caplog.set_level("CRITICAL")  # tifffile logs, too
    for kind, seed in FAMILIES[family]().items():
        for name, content in seed.items():
            (tmp_path / name).write_bytes(content)
        path = tmp_path / next(iter(seed))
        if "colour" in kind:
            continue
        whole, content = read_labels(path).array, path.read_bytes()
        cuts = range(len(content)) if FULL else rng.integers(len(content), size=25)
        for cut in map(int, cuts):
            path.write_bytes(content[:cut])
            with suppress(InputError):
                np.testing.assert_array_equal(read_labels(path).array, whole, f"{kind} at {cut}")
