"""Checkpoints of a training run, a file each: whole or not at all."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from segjax._errors import InputError
from segjax.io import output_folder
from segjax.quality.archive import read_archive, write_archive


_KEPT = 2
_HEADER = 1024  # bytes: more than an archive says of one array


class Checkpoints:
    """The last two checkpoints in a folder; a damaged one is passed over.

    All devices and hosts hold the same state: one host saves it, and every one can load it.
    """

    def __init__(self, folder: Path):
        self.folder = output_folder(folder)

    def save(self, step: int, state: Any) -> None:
        """Write a checkpoint and wait until it is on the disk.

        Raises:
            InputError: if it cannot be written; those before are as they were.
        """
        try:
            arrays = {name: np.asarray(x) for name, x in _named(state).items()}
            write_archive(self._path(step), arrays, compress=False)
        except InputError as error:
            raise InputError(f"{error}, then go on by resuming") from error
        for old in self._steps()[_KEPT:]:
            self._path(old).unlink(missing_ok=True)
        for torn in self.folder.glob(".*.tmp"):  # of runs that were killed while they saved
            torn.unlink(missing_ok=True)

    def load(self, like: Any) -> Any | None:
        """The last checkpoint, of the structure and on the devices of `like`; None without any.

        Raises:
            InputError: if there are checkpoints, and none can be read.
        """
        reasons = []
        for step in self._steps():
            try:
                return self._read(step, like)
            except InputError as error:
                reasons.append(str(error))
        if reasons:
            raise InputError(
                f"no checkpoint can be read ({'; '.join(reasons)}); train anew into another folder"
            )
        return None

    def _read(self, step: int, like: Any) -> Any:
        expected = _named(like)
        arrays = read_archive(
            self._path(step),
            kind="checkpoint of this run",
            most_bytes=sum(x.nbytes + _HEADER for x in expected.values()) + _HEADER,
            mend="train on from another",
        )
        facts = [{n: (x.shape, x.dtype) for n, x in part.items()} for part in (arrays, expected)]
        if facts[0] != facts[1]:
            raise InputError(f"{self._path(step)}: is of another network; resume its own run")
        placed = [_placed(arrays[name], x) for name, x in expected.items()]
        return jax.tree.unflatten(jax.tree.structure(like), placed)

    def _steps(self) -> list[int]:
        """The newest first."""
        found = (path.stem for path in self.folder.glob("*.npz"))
        return sorted((int(name) for name in found if name.isdecimal()), reverse=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step}.npz"


def _named(state: Any) -> dict[str, Any]:
    """The arrays of a state by where they stand in it, in its order."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): x for path, x in leaves}


def _placed(array: np.ndarray, like: Any) -> Any:
    return jax.device_put(array, like.sharding) if isinstance(like, jax.Array) else array
