import json
import math
import os
import stat
import zlib

import pytest

from segjax._errors import InputError
from segjax.io import Journal, journal_line, write_atomic


resource = pytest.importorskip("resource")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def full_disk():
    """Files may grow to 150 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    write_atomic(tmp_path / "a.txt", "é\r\n")
    write_atomic(str(tmp_path / "b"), b"\0\xff")
    assert contents(tmp_path) == {"a.txt": "é\r\n".encode(), "b": b"\0\xff"}


def test_names_that_are_no_unicode_can_be_written(tmp_path):
    write_atomic(tmp_path / "a", os.fsdecode(b"case\xff"))
    assert contents(tmp_path) == {"a": b"case\\udcff"}


def test_written_file_may_be_read_by_whom_the_user_lets(tmp_path):
    write_atomic(tmp_path / "a", "")
    (tmp_path / "b").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"}
    assert len(modes) == 1


def test_link_stays_a_link(tmp_path):
    (tmp_path / "a").touch()
    os.symlink(tmp_path / "a", tmp_path / "b")
    write_atomic(tmp_path / "b", "new")
    assert (tmp_path / "b").is_symlink()
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, function, error):
    (tmp_path / "a").write_text("old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, function, fail)
    expected = InputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_atomic(tmp_path / "a", "new")
    assert contents(tmp_path) == {"a": b"old"}
    if expected is InputError:
        assert "a: cannot be written (No space left on device); free" in str(caught.value)


@pytest.mark.usefixtures("full_disk")
def test_file_too_large_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(InputError, match="File too large"):
        write_atomic(tmp_path / "a", "x" * 1000)
    assert contents(tmp_path) == {"a": b"old"}


def test_missing_folder_and_folder_in_the_way_are_named(tmp_path):
    with pytest.raises(InputError, match="make its folder"):
        write_atomic(tmp_path / "none" / "a", "")
    with pytest.raises(InputError, match="cannot be written"):
        write_atomic(tmp_path, "")


ENTRIES = [{"case": "a\n", "dice": 0.5}, {"case": "b", "dice": math.inf}]


def journal(path, entries=ENTRIES):
    with Journal.open(path, resume=False) as opened:
        for entry in entries:
            opened.append(entry)
    return path


def test_journal_reads_back_and_goes_on(tmp_path):
    path = journal(tmp_path / "j.jsonl")
    with Journal.open(path, resume=True) as opened:
        assert opened.entries == ENTRIES
        opened.append({"case": "c"})
        assert opened.entries[-1] == {"case": "c"}
        # Written when append returns, so a crash loses nothing.
        line = path.read_bytes().splitlines(keepends=True)[-1]
        assert line == journal_line({"case": "c"})
        assert json.loads(line) == {"case": "c", "crc32": zlib.crc32(b'{"case": "c"}')}


def test_journal_without_resume_starts_anew(tmp_path):
    path = journal(tmp_path / "j.jsonl")
    with Journal.open(path, resume=False) as opened:
        assert opened.entries == []
    assert path.read_bytes() == b""


@pytest.mark.parametrize("cut", [1, 2, 10])
def test_torn_last_line_is_forgotten_and_removed(tmp_path, cut):
    path = journal(tmp_path / "j.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with Journal.open(path, resume=True) as opened:
        assert opened.entries == ENTRIES[:1]
        opened.append(ENTRIES[1])
    assert path.read_bytes() == whole


def test_unreadable_last_line_is_forgotten(tmp_path):
    path = journal(tmp_path / "j.jsonl")
    path.write_bytes(path.read_bytes() + b"\0\0\0\n")
    with Journal.open(path, resume=True) as opened:
        assert opened.entries == ENTRIES


@pytest.mark.parametrize("line", [0, 1])
def test_entry_that_was_changed_is_told(tmp_path, line):
    path = journal(tmp_path / "j.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"case": "', b'"case": "x')
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=f"line {line + 1} is damaged.*without resuming"):
        Journal.open(path, resume=True)


def test_file_that_is_no_journal_is_refused_and_kept(tmp_path):
    (tmp_path / "notes").write_text("first\nsecond\nthird\n")
    with pytest.raises(InputError, match="notes: line 1 is damaged or no entry"):
        Journal.open(tmp_path / "notes", resume=True)
    assert (tmp_path / "notes").read_text() == "first\nsecond\nthird\n"


@pytest.mark.usefixtures("full_disk")
def test_entry_that_does_not_fit_leaves_the_journal_whole(tmp_path):
    path = journal(tmp_path / "j.jsonl")
    whole = path.read_bytes()
    with Journal.open(path, resume=True) as opened:
        with pytest.raises(InputError, match=r"j\.jsonl: cannot be written"):
            opened.append({"case": "x" * 200})
        assert opened.entries == ENTRIES
    assert path.read_bytes() == whole


def test_journal_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="make its folder"):
        Journal.open(tmp_path / "none" / "j", resume=True)
