"""What the benchmark runs on, and how quickly that reads memory and multiplies."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from segjax._version import __version__


PEERS = (
    "scipy", "scikit-image", "scikit-learn", "miseval", "medpy", "monai", "torch", "torchmetrics",
    "surface-distance", "edt", "segauge", "stardist", "cellpose", "py-ctcmetrics",
    "connected-components-3d",
)  # fmt: skip
_TIMES = 7


def describe_machine() -> dict[str, Any]:
    """Processor, devices and versions; peers that are not installed have none."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory(),
        "system": platform.system(),
        "backend": jax.default_backend(),
        "devices": [d.device_kind for d in jax.devices()],
        "python": platform.python_version(),
        "versions": {"segjax": __version__} | versions(("jax", "jaxlib", "numpy", *PEERS)),
    }


def processor() -> str:
    """Name of the processor."""
    described = Path("/proc/cpuinfo")  # on Linux the platform module does not know the model
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Versions of distributions; None for those that are not installed."""

    def version(package: str) -> str | None:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    return {package: version(package) for package in packages}


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


@cache
def bandwidth() -> float:
    """Bytes per second at which the default device reads its memory, the best of several times."""
    numbers = jnp.ones(2**26, jnp.float32)
    return numbers.nbytes / _best(jax.jit(jnp.sum), numbers)


@cache
def peak_flops() -> float:
    """Operations per second of a product of matrices in float32, the best of several times."""
    n = 2048
    matrix = jnp.ones((n, n), jnp.float32)
    return 2 * n**3 / _best(jax.jit(jnp.matmul), matrix, matrix)


def _best(program: Callable[..., Any], *arguments: Any) -> float:
    jax.block_until_ready(program(*arguments))
    times = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        times.append(time.perf_counter() - begun)
    return min(times)
