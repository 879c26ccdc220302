"""Checkpoints of a training run, written by orbax: whole or not at all."""

import logging
from pathlib import Path
from typing import Any

from segjax._errors import InputError


class Checkpoints:
    """The last two checkpoints in a folder; a damaged or unfinished one is passed over."""

    def __init__(self, folder: Path):
        import orbax.checkpoint as orbax

        logging.getLogger("absl").setLevel(logging.CRITICAL)  # its errors are raised as well
        self._orbax = orbax
        options = orbax.CheckpointManagerOptions(max_to_keep=2, create=True)
        self._manager = orbax.CheckpointManager(folder.resolve(), options=options)

    def save(self, step: int, state: Any) -> None:
        """Write a checkpoint and wait until it is on the disk.

        Raises:
            InputError: if it cannot be written; those before are as they were.
        """
        try:
            if step in self._manager.all_steps():  # a damaged one that was passed over
                self._manager.delete(step)
            self._manager.save(step, args=self._orbax.args.StandardSave(state), force=True)
            self._manager.wait_until_finished()
        except Exception as error:  # orbax raises whatever its storage does
            raise InputError(
                f"{self._manager.directory}: the checkpoint of step {step} cannot be written "
                f"({str(error).splitlines()[0][:200]}); free some space, then go on by resuming"
            ) from error

    def load(self, like: Any) -> Any | None:
        """The last checkpoint, of the structure and on the devices of `like`; None without any.

        Raises:
            InputError: if there are checkpoints, and none can be read.
        """
        reasons = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._manager.restore(step, args=self._orbax.args.StandardRestore(like))
            except Exception as error:  # orbax raises whatever its storage does
                reasons.append(f"step {step}: {str(error).splitlines()[0][:200]}")
        if reasons:
            raise InputError(
                f"no checkpoint in {self._manager.directory} can be read ({'; '.join(reasons)}); "
                f"train anew into another folder"
            )
        return None

    def close(self) -> None:
        self._manager.close()
