"""The devices of this host, each doing a share of what does not depend on each other."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, TypeAlias

import jax
from jax.sharding import (
    AxisType,
    Mesh,
    NamedSharding,
    PartitionSpec,
    get_abstract_mesh,
    use_abstract_mesh,
)


Devices: TypeAlias = tuple[Any, ...]

_SHARE = "share"


def own_devices() -> Devices:
    """Those that work is spread over: all of this host, or what `jax.default_device` names."""
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    if chosen is None or isinstance(chosen, str):
        return tuple(jax.local_devices(backend=chosen))
    return (chosen,)


def even(count: int, devices: Devices) -> int:
    """The next number up that so many devices share evenly."""
    return -(-count // len(devices)) * len(devices)


def everywhere(arrays: Any, devices: Devices) -> Any:
    """A copy of a tree of arrays on each device."""
    return jax.device_put(arrays, NamedSharding(_mesh(devices), PartitionSpec()))


class Spread:
    """A function compiled so that each device does a share, and none waits for another.

    Args:
        function: of arrays and trees of them; in some of them things lie along the first axis
            that do not depend on each other, and so they do in all that it returns.
        shared: of each argument whether it is such a one, shared evenly by the devices (see
            `even`); of the others each device has a copy.
        devices: that share the work.

    Attributes:
        program: what is called, for whoever would lower it.
    """

    def __init__(self, function: Callable[..., Any], shared: Sequence[bool], devices: Devices):
        mesh = self._mesh = _mesh(devices)
        specs = tuple(PartitionSpec(_SHARE) if x else PartitionSpec() for x in shared)
        mapped = jax.shard_map(
            function,
            mesh=mesh,
            in_specs=specs,
            out_specs=PartitionSpec(_SHARE),
            check_vma=False,
        )
        # Told, so that arrays go from the host to their devices straight.
        self.program = jax.jit(
            mapped, in_shardings=tuple(NamedSharding(mesh, spec) for spec in specs)
        )

    def __call__(self, *arguments: Any) -> Any:
        with alone(self._mesh):
            return self.program(*arguments)


def alone(mesh: Mesh) -> AbstractContextManager[Any]:
    """Set a mesh in place of what the caller has set for arrays of theirs."""
    if get_abstract_mesh().empty:
        return nullcontext()
    try:
        return jax.set_mesh(mesh)
    except ValueError:  # while a gradient is traced
        return use_abstract_mesh(mesh.abstract_mesh)


@lru_cache(maxsize=16)
def _mesh(devices: Devices) -> Mesh:
    return jax.make_mesh((len(devices),), (_SHARE,), (AxisType.Auto,), devices=devices)
