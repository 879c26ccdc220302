"""A child process that sees several devices, and what it may check there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from segjax import _devices


def run_on(devices: int, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code that sees so many devices, which XLA makes of one CPU."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )


@contextmanager
def spread_over(number: int) -> Iterator[set[str]]:
    """Give segjax so many of the devices; check that each does its share, and on its own.

    Yields:
        Names of the functions that were spread, filled in as it goes.
    """
    called: set[str] = set()
    own, call = _devices.own_devices, _devices.Spread.__call__

    def checked(self, *arguments):
        found = call(self, *arguments)
        for x in (x for x in jax.tree.leaves(found) if x.size):
            assert len(x.sharding.device_set) == number, x.sharding
            assert x.sharding.shard_shape(x.shape)[0] * number == x.shape[0], x.shape
        if number == jax.device_count() and self not in _alone:
            _alone.add(self)
            with jax.set_mesh(self._mesh):
                _check_alone(self.program.lower(*arguments).compile(), arguments, number)
        called.add(self.program.__name__)
        return found

    _devices.own_devices = lambda: tuple(jax.devices()[:number])
    _devices.Spread.__call__ = checked
    try:
        yield called
    finally:
        _devices.own_devices, _devices.Spread.__call__ = own, call


_alone: set[_devices.Spread] = set()  # those that have been looked at


def _check_alone(compiled, arguments, number):
    """No device waits for another, and of what is shared each holds its part of the bytes."""
    text = compiled.as_text()
    assert not re.search("all-|collective|reduce-scatter", text), text
    shared = 0
    placed = jax.tree.leaves(compiled.input_shardings[0], is_leaf=lambda x: x is None)
    for x, at in zip(jax.tree.leaves(arguments), placed, strict=True):
        if at is not None and not at.is_fully_replicated:  # None of what is not used
            assert at.shard_shape(x.shape) == (x.shape[0] // number, *x.shape[1:]), at
            shared += 1
    assert shared
