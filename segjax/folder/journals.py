"""The journals of a run, from which it can be resumed: one for each host, which end as one."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from segjax import io
from segjax._errors import InputError
from segjax.hosts import ALONE, Hosts


Entry: TypeAlias = dict[str, Any]

_NAME = "cases.jsonl"
_WHOLE = {"case", "reference", "prediction", "shape", "spacing", "unit", "run", "labels"}
_WHOLE |= {"counts", "scores", "objects"}


def open_journal(output: Path, resume: bool, hosts: Hosts = ALONE) -> io.Journal:
    """Make the output folder, and open this host's journal in it.

    Without `resume` it starts empty, and those of more hosts than there are now are forgotten.
    """
    name = _NAME if hosts.first else f"cases-{hosts.index}.jsonl"
    journal = io.Journal.open(io.output_folder(output) / name, resume=resume)
    if not resume:
        _remove(_beyond(output, hosts.count))
    return journal


def entries_left(journal: io.Journal | None, hosts: Hosts) -> list[Entry]:
    """What is for this host to tell of earlier runs: what its journal holds.

    The first also tells what is in journals that are no host's now.
    """
    if journal is None:
        return []
    by_path = {journal.path: [*journal.entries]}
    if hosts.first:
        others = _beyond(journal.path.parent, hosts.count)
        by_path |= {path: io.read_journal(path) for path in others}
    for path, entries in by_path.items():
        if any(not _WHOLE <= entry.keys() for entry in entries):
            raise InputError(f"{path}: is no journal of segjax; choose another --output")
    return [entry for entries in by_path.values() for entry in entries]


def join_journals(output: Path, entries: Iterable[Entry], hosts: Hosts) -> None:
    """Of a run that had several hosts, leave the journal that one host would have left."""
    others = [*_beyond(output, 1)]
    if hosts.first and (others or hosts.count > 1):
        io.write_atomic(output / _NAME, b"".join(map(io.journal_line, entries)))
        _remove(others)


def by_case(entries: Iterable[Entry]) -> Mapping[str, Entry]:
    """The last entry of each case."""
    return {entry["case"]: entry for entry in entries}


def _beyond(output: Path, count: int) -> Iterator[Path]:
    """Journals of hosts from that number up."""
    for path in sorted(output.glob("cases-*.jsonl")):
        number = re.fullmatch(r"cases-([1-9]\d{0,5})\.jsonl", path.name)
        if number is not None and int(number[1]) >= count:
            yield path


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be removed ({error.strerror}); choose another --output"
            ) from None
