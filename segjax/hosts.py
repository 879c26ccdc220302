"""Several hosts on JAX's own distributed runtime: each does a share, all learn what all found.

What they tell each other are texts in the key-value store of the runtime's coordinator and not
arrays: no accelerator has to take part, and a host may wait for a slow one as long as it takes.
"""

import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event
from typing import Any, TypeVar

from segjax._errors import InputError


T = TypeVar("T")

_PIECE = 2**20  # bytes: a message of the runtime must be below 4 MB
_SECONDS = 300.0  # to wait for host 0 to be started
_GIVE_ALL = "give ADDRESS:PORT of host 0, with --host-id and --host-count"
_PATIENCE = 10**9  # ms to wait for a slow host; one that is gone is found by its heartbeat
_found = count()  # of what is told, the number; alike on all hosts
_agreed = Event()  # set when all hosts know that one has failed


class HostLost(InputError):
    """Another host is gone, or has told why it stops."""


@dataclass(frozen=True)
class Hosts:
    """One of several processes that do the same work, each a share of it.

    Attributes:
        index: which of them this is.
        count: how many there are.
    """

    index: int = 0
    count: int = 1
    _client: Any = field(default=None, repr=False)

    @property
    def first(self) -> bool:
        """Whether this one writes what there is one of."""
        return self.index == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """What this host is to do of the items, dealt like cards."""
        return items[self.index :: self.count]

    def gather(self, mine: Any) -> list[Any]:
        """What each host has, in their order; all of them must come here.

        Args:
            mine: what this one has, in plain values that JSON knows.

        Raises:
            HostLost: if another one is gone or has failed.
        """
        if self.count == 1:
            return [mine]
        parts = self._exchange({"has": mine})
        for i, part in enumerate(parts):
            if "stopped" in part:
                raise HostLost(f"host {i} stopped: {part['stopped']}")
        return [part["has"] for part in parts]

    @contextmanager
    def together(self) -> Iterator[None]:
        """If this host fails inside, the others learn why where they gather next."""
        try:
            yield
        except HostLost:
            raise
        except BaseException as error:
            if self.count > 1:
                self._exchange({"stopped": str(error) or type(error).__name__})
            raise

    def _exchange(self, part: dict[str, Any]) -> list[dict[str, Any]]:
        name = f"segjax/{next(_found)}"
        try:
            data = json.dumps(part).encode()
            pieces = [data[i : i + _PIECE] for i in range(0, len(data), _PIECE)]
            for i, piece in enumerate(pieces):
                self._client.key_value_set_bytes(f"{name}/{self.index}/{i}", piece)
            self._client.key_value_set_bytes(f"{name}/{self.index}", str(len(pieces)).encode())
            self._client.wait_at_barrier(f"{name}/told", _PATIENCE)
            parts = [self._told(f"{name}/{host}") for host in range(self.count)]
            self._client.wait_at_barrier(f"{name}/heard", _PATIENCE)
            if self.first:
                self._client.key_value_delete(f"{name}/")
        except RuntimeError as error:
            raise lost() from error
        if any("stopped" in part for part in parts):
            _agreed.set()
        return parts

    def _told(self, name: str) -> dict[str, Any]:
        get = lambda key: self._client.blocking_key_value_get_bytes(key, _PATIENCE)
        return json.loads(b"".join(get(f"{name}/{i}") for i in range(int(get(name)))))


ALONE = Hosts()


def join(coordinator: str, index: int | None = None, number: int | None = None) -> Hosts:
    """Become one of several hosts; before anything else is done with JAX.

    Args:
        coordinator: address and port of host 0, such as "10.0.0.1:1234"; "auto" where JAX can
            find out by itself (Slurm, Open MPI, pods of TPUs, Kubernetes with its package).
        index: which of the hosts this is, from 0.
        number: how many there are.

    Raises:
        InputError: if nobody answers there, or the three do not fit together.
    """
    auto = coordinator == "auto"
    address, _, port = coordinator.rpartition(":")
    if not auto and not (address and port.isdigit() and 0 < int(port) < 2**16):
        raise InputError(f"--hosts takes ADDRESS:PORT of host 0, or auto; got {coordinator!r}")
    if not auto and (index is None or number is None):
        raise InputError(f"{coordinator} alone does not say who this is; {_GIVE_ALL}")
    if index is not None and number is not None and not 0 <= index < number:
        raise InputError(f"--host-id is {index}; of {number} hosts it is one from 0 up")
    if index:
        _reach(address, int(port))  # the runtime would abort the process
    import jax

    try:
        jax.distributed.initialize(None if auto else coordinator, number, index)
    except (RuntimeError, ValueError) as error:
        mend = "check the address" if not auto else _GIVE_ALL
        said = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"--hosts {coordinator}: cannot be joined ({said}); {mend}") from None
    return hosts_of_jax()


def _reach(address: str, port: int) -> None:
    """Wait until host 0 listens."""
    until = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection((address.strip("[]"), port), timeout=_SECONDS).close()
        except OSError as error:
            if time.monotonic() > until:
                raise InputError(
                    f"--hosts {address}:{port}: nobody answers there ({error.strerror or error}); "
                    "check the address, and that host 0 has been started"
                ) from None
            time.sleep(0.5)
        else:
            return


def hosts_of_jax() -> Hosts:
    """The hosts that `jax.distributed.initialize` has brought together; one, if it has not."""
    import jax

    if jax.process_count() == 1:
        return ALONE
    from orbax.checkpoint import multihost  # its public door to the runtime's client

    return Hosts(jax.process_index(), jax.process_count(), multihost.get_jax_distributed_client())


def lost() -> HostLost:
    """Of a host that is gone without a word."""
    return HostLost("another host is gone; see what it printed, and run all again with --resume")


def missed() -> bool:
    """Whether others may wait for this process, which has failed, and not know it."""
    joined = "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()
    return joined and not _agreed.is_set()
