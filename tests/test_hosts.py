"""Several hosts do what one does: real processes over the loopback device."""

import json
import re
import shutil
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from segjax import InputError
from segjax.cli import main
from segjax.cli._hosts import joined_hosts, without_hosts
from segjax.hosts import ALONE, Hosts, join
from segjax.quality import training as rooms
from tests.hosts import finish, run_hosts, start, start_hosts
from tests.quality.test_training import SMALL, losses_of
from tests.soak import FULL


HOSTS = 4 if FULL else 2
CASES = 4 * HOSTS + 1
EVALUATE = ("evaluate", "r", "p", "-q", "-m", "dice,hd95,vi", "--replicates", "200", "-o", "out")
DIE = """
import os
from segjax.io import Journal
append = Journal.append
def dying(journal, entry):
    append(journal, entry)
    if len(journal.entries) == {after}:
        os.kill(os.getpid(), {signal})
Journal.append = dying
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folders of cases, scored by one host."""
    place = tmp_path_factory.mktemp("one")
    rng = np.random.default_rng(0)
    for side in "rp":
        (place / side).mkdir()
    for i in range(CASES):
        reference = np.zeros((24, 32), np.uint8)
        reference[3:12, 2 + i % 9 : 15], reference[14:21, 9:28] = 1, 2
        np.save(place / "r" / f"c{i:02}.npy", reference)
        found = np.where(rng.random(reference.shape) < 0.9, reference, 0)
        # The first is stored as float, which every host sees and which is noted once.
        np.save(place / "p" / f"c{i:02}.npy", found.astype(np.uint8 if i else np.float32))
    status, _, err = finish(start(*EVALUATE, cwd=place))
    assert status == 0, err
    return place


def copied(place, to):
    for side in "rp":
        shutil.copytree(place / side, to / side)
    return to


def files(place):
    """What a run left, but for when it was and how long it took."""
    found = {path.name: path.read_bytes() for path in (place / "out").iterdir()}
    summary = json.loads(found["summary.json"])
    moment = {"created", "seconds", "compilations"}
    found["summary.json"] = json.dumps({k: v for k, v in summary.items() if k not in moment})
    page = found["report.html"].decode()
    found["report.html"] = re.sub(r"\d+ \w+ \d{4}, \d\d:\d\d UTC|\d+\.\d+ s\b", "", page)
    return found


def lines(place):
    return {
        path.name: path.read_bytes().count(b"\n") for path in (place / "out").glob("cases*.jsonl")
    }


def until(true, seconds=120):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def resume(monkeypatch, capsys):
    """Go on as one host, in this process; returns what it prints."""

    def resume(place):
        monkeypatch.chdir(place)
        assert main([*EVALUATE, "--resume"]) == 0
        return capsys.readouterr().out

    return resume


def test_hosts_that_were_killed_lose_and_double_no_case(place, tmp_path, resume):
    copied(place, tmp_path)
    die = DIE.format(after=2, signal=int(signal.SIGKILL))
    processes = start_hosts(HOSTS, *EVALUATE, cwd=tmp_path, before=["", die])
    assert finish(processes[1])[0] == -signal.SIGKILL
    others = {"cases.jsonl": 5} | {f"cases-{i}.jsonl": 4 for i in range(2, HOSTS)}
    until(lambda: lines(tmp_path) == {**others, "cases-1.jsonl": 2})
    for process in processes:  # the survivors would wait for the runtime to miss the dead one
        process.kill()
        finish(process)
    shutil.copytree(tmp_path, tmp_path / "again")

    done = run_hosts(HOSTS, *EVALUATE, "--resume", cwd=tmp_path)
    assert [status for status, *_ in done] == [0] * HOSTS, done
    assert f"{CASES - 2} from the earlier run" in done[0][1]
    assert all(out == "" for _, out, _ in done[1:])
    ours, theirs = files(tmp_path), files(place)
    for name in ("summary.json", "report.html"):  # where the command stands that was typed
        ours[name] = ours[name].replace(" --resume", "")
    assert ours == theirs

    # One host goes on where several stopped.
    assert f"{CASES - 2} from the earlier run" in resume(tmp_path / "again")
    ours = files(tmp_path / "again")
    assert ours["cases.jsonl"] == theirs["cases.jsonl"]
    assert ours["scores.csv"] == theirs["scores.csv"]


def test_a_damaged_file_is_told_by_all_hosts_and_the_rest_is_kept(place, tmp_path, resume):
    copied(place, tmp_path)
    good = (tmp_path / "p" / "c03.npy").read_bytes()
    (tmp_path / "p" / "c03.npy").write_bytes(good[:-9])
    first, second = run_hosts(2, *EVALUATE, cwd=tmp_path)
    assert first[:2] == second[:2] == (2, "")
    assert first[2].startswith("segjax: host 1 stopped: ")
    assert second[2].startswith("segjax: ")
    for _, _, err in (first, second):
        assert "c03.npy" in err
        assert err.count("\n") == 1, err
    assert lines(tmp_path) == {"cases.jsonl": CASES // 2 + 1, "cases-1.jsonl": CASES // 2 - 1}
    assert len([*(tmp_path / "out").iterdir()]) == 2  # no scores of some of the cases

    (tmp_path / "p" / "c03.npy").write_bytes(good)
    assert f"{CASES - 1} from the earlier run" in resume(tmp_path)
    assert files(tmp_path)["scores.csv"] == files(place)["scores.csv"]


def test_a_host_whose_disk_is_full_stops_all_and_nothing_is_lost(place, tmp_path, resume):
    copied(place, tmp_path)
    two = b"".join((place / "out" / "cases.jsonl").read_bytes().splitlines(keepends=True)[:2])
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({len(two) + 99},) * 2)\n"
    full += "import os; os.environ['SEGJAX_CACHE'] = 'cache'\n"
    first, second = run_hosts(2, *EVALUATE, cwd=tmp_path, before=["", full])
    assert first[:2] == second[:2] == (2, "")
    for _, _, err in (first, second):
        assert "cases-1.jsonl: cannot be written" in err
        assert "free some space" in err
        assert err.count("\n") == 1, err
    assert lines(tmp_path) == {"cases.jsonl": CASES // 2 + 1, "cases-1.jsonl": 2}
    assert f"{CASES // 2 + 3} from the earlier run" in resume(tmp_path)
    assert files(tmp_path)["scores.csv"] == files(place)["scores.csv"]


# Pairs that cost nothing to make, so that what is compiled is the training alone.
PAIRS = """
import jax, jax.numpy as jnp
from segjax.quality import training as rooms
from segjax.simulation.pairs import Pair

def make_pair(key, pairs, pool):
    labels = jax.random.bernoulli(key, 0.3, pairs.nuclei.shape).astype(jnp.int32)
    share = labels.mean()
    return Pair(labels + 0.5, labels * 1.0, jnp.stack([share, 1 - share]),
                jnp.ones(2, bool), labels, labels)
"""
TRAIN = f"""{PAIRS}
import sys
from dataclasses import replace
from segjax.hosts import join
from tests.quality.test_training import SMALL
join(sys.argv[2], int(sys.argv[4]), int(sys.argv[6]))
rooms.make_pair = make_pair
small = replace(SMALL, network=replace(SMALL.network, maps=()))
def stop(progress):
    raise KeyboardInterrupt
try:
    rooms.train(small, output="run", on_progress=stop)
except KeyboardInterrupt:
    pass
rooms.train(small, output="run", resume=True)
"""


def test_two_hosts_train_to_the_losses_of_one(tmp_path, monkeypatch):
    alone = tmp_path / "alone"
    scope = {}
    exec(PAIRS, scope)
    monkeypatch.setattr(rooms, "make_pair", scope["make_pair"])
    rooms.train(replace(SMALL, network=replace(SMALL.network, maps=())), output=alone)
    for status, _, err in run_hosts(2, code=TRAIN, cwd=tmp_path):
        assert status == 0, err
    ours, theirs = (np.array(losses_of(folder), float) for folder in (tmp_path / "run", alone))
    np.testing.assert_allclose(ours[0, 1], theirs[0, 1], rtol=1e-5)
    # Adam divides small gradients by their size, so the last digits grow.
    np.testing.assert_allclose(ours, theirs, rtol=5e-3)
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "4.npz",
        "8.npz",
    ]


def test_hosts_tell_each_other_what_is_longer_than_a_message():
    told = {}

    class Client:
        key_value_set_bytes = staticmethod(told.__setitem__)
        blocking_key_value_get_bytes = staticmethod(lambda key, wait: told[key])
        wait_at_barrier = staticmethod(lambda key, wait: None)
        key_value_delete = staticmethod(lambda key: told.clear())

    long = ["\u00e4" * 999] * 3000
    assert Hosts(0, 1).gather(long) == [long]
    (heard,) = Hosts(0, 1, Client())._exchange({"has": long})
    assert heard == {"has": long}
    assert not told


def test_work_is_dealt_to_hosts_like_cards():
    shares = [Hosts(i, 3).share(range(8)) for i in range(3)]
    assert [*map(len, shares)] == [3, 3, 2]
    assert sorted(i for share in shares for i in share) == [*range(8)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("nonsense", 0, 2), "ADDRESS:PORT of host 0, or auto"),
        (("10.0.0.1:99999", 0, 2), "ADDRESS:PORT of host 0, or auto"),
        (("10.0.0.1:80", None, 2), "with --host-id and --host-count"),
        (("10.0.0.1:80", 2, 2), "--host-id is 2; of 2 hosts"),
        ((None, 0, None), "go with --hosts"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        joined_hosts(*options)


def test_a_host_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("segjax.hosts._SECONDS", 0.0)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9: nobody answers there"):
        join("127.0.0.1:9", 1, 2)


def test_without_options_a_host_is_alone():
    assert joined_hosts(None, None, None) is ALONE
    typed = ["evaluate", "r", "--hosts", "a:1", "--host-id=0", "p", "--host-count", "2", "-q"]
    assert without_hosts(typed) == ["evaluate", "r", "p", "-q"]


def test_a_batch_that_hosts_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(rooms.jax, "process_count", lambda: 3)
    with pytest.raises(InputError, match="3 hosts cannot share a batch of 8 evenly"):
        rooms._sharing(8)
