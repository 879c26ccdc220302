"""Read damaged files in a process of its own, which may die of them.

    python -m tests.fuzz.child RESULT READER:START:STOP ...   # what test_fuzz.py starts
    python -m tests.fuzz.child - TIFF:1234:1235               # one input again

Input number i of a reader stays the same as long as its seeds do. Before each, its number is
written to RESULT, so that the parent knows what a process died of.
"""

import faulthandler
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from segjax import InputError
from tests.fuzz import mutations
from tests.fuzz.readers import READERS, Reader
from tests.fuzz.seeds import Seed


SECONDS = 10  # that an input may take
MEMORY = 2**30  # bytes by which the address space may grow
NOTED = ("labels stored as", "labels lie scattered", "contrary to the Zarr V2 specification")


def damaged(reader: Reader, name: str, seeds: dict[str, Seed], i: int) -> tuple[str, Seed]:
    """Input number i: a seed of which one file is damaged, or is another's."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), i])
    kind = mutations.pick(rng, [*seeds])
    seed = dict(seeds[kind])
    wanted = tuple(reader.only.split()) or ("",)
    names = [n for n in seed if n.endswith(wanted) and not n.endswith("/")]
    target = names[0] if rng.random() < 0.5 else mutations.pick(rng, names)
    act = rng.random()
    if act < 0.01:
        del seed[target]
        return kind, seed if seed else {f"{target}/": b""}
    if act < 0.02:
        other = mutations.pick(rng, [*READERS["NumPy"].seeds().values()])
        return kind, seed | {target: mutations.pick(rng, [*other.values()])}
    if act < 0.04:
        same = [s[n] for s in seeds.values() for n in s if Path(n).suffix == Path(target).suffix]
        one, two = seed[target], mutations.pick(rng, same)
        return kind, seed | {
            target: one[: mutations.spot(rng, one)] + two[mutations.spot(rng, two) :]
        }
    ways = reader.damage or mutations.BY_SUFFIX.get(
        Path(target).suffix or Path(target).name, mutations.BYTES
    )
    content = seed[target]
    for _ in range(1 if rng.random() < 0.8 else 2):
        try:
            content = mutations.pick(rng, ways)(rng, content)
        except Exception:  # the second finds no more what it looks for after the first
            content = mutations.pick(rng, mutations.BYTES)(rng, content)
    return kind, seed | {target: content}


def put(folder: Path, seed: Seed) -> Path:
    """Write a seed; returns what is to be read."""
    for name, content in seed.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(content)
    return folder / next(iter(seed))


def memory() -> int:
    """The largest that the address space has been."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmPeak"))


def judged(read, path: Path, names: Sequence[str]) -> str:
    """ "read", "refused", or what must not be; errors have to tell one of the names."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            read(path)
            outcome = "read"
        except InputError as error:
            outcome, text, cause = "refused", str(error), error.__cause__
            while cause is not None:
                if isinstance(cause, MemoryError):
                    return f"memory ran out: {text}"
                cause = cause.__cause__
            if not any(name in text for name in names):
                return f"does not name the file: {text}"
            if "\n" in text or len(text) > 2000:
                return f"is not one line: {text[:3000]}"
        except BaseException:
            return traceback.format_exc()
    odd = [w for w in said if not any(known in str(w.message) for known in NOTED)]
    return f"warned: {odd[0]}" if odd else outcome


def main(result: str, *jobs: str) -> None:
    log = sys.stderr if result == "-" else open(result, "a", buffering=1)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # as the command does
    with tempfile.TemporaryFile() as noise:
        if result != "-":
            sys.excepthook = lambda *told: log.write("".join(traceback.format_exception(*told)))
            os.dup2(noise.fileno(), 1)
            os.dup2(noise.fileno(), 2)
        for job in jobs:
            name, start, stop = job.rsplit(":", 2)
            read_all(name, range(int(start), int(stop)), log, noise)


def read_all(name: str, numbers: range, log: TextIO, noise: BinaryIO) -> None:
    """Read these inputs of a reader, and note what each comes to."""
    reader = READERS[name]
    seeds = reader.seeds()
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held) / "input"
        for kind, seed in seeds.items():  # imports what readers need; and a seed can be read
            outcome = judged(reader.read, put(folder, seed), [*seed])
            assert outcome == "read" or "colour" in kind, (name, kind, outcome)
            shutil.rmtree(folder)
        limit = memory() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        for i in numbers:
            kind, seed = damaged(reader, name, seeds, i)
            log.write(json.dumps({"reader": name, "begun": i, "seed": kind}) + "\n")
            path, before = put(folder, seed), noise.seek(0, 2)
            faulthandler.dump_traceback_later(SECONDS, exit=True, file=log)
            outcome = judged(reader.read, path, [Path(n).name for n in seed])
            faulthandler.cancel_dump_traceback_later()
            if noise.seek(0, 2) > before:
                noise.seek(before)
                outcome = f"printed: {noise.read(3000).decode(errors='replace')}"
            log.write(json.dumps({"reader": name, "done": i, "outcome": outcome}) + "\n")
            shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
