"""What segjax runs on: devices, versions, extras, compiled programs."""

import importlib.metadata
import platform
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from segjax._compiling import cache_folder, counting_compilations
from segjax._version import __version__
from segjax.evaluation import evaluate


_VERSIONS = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "tifffile")
_OF_DEVELOPERS = ("all", "dev", "bench", "docs")
# What an extra of jax brings, which is not seen in the name of what segjax asks for.
_PLUGINS = {"cuda12": "jax-cuda12-plugin", "cuda13": "jax-cuda13-plugin", "tpu": "libtpu"}
_GPUS = ("/dev/nvidia0", "/dev/kfd")


@dataclass(frozen=True, kw_only=True)
class FirstRun:
    """What Dice and HD95 of a small pair took, which compiles as any first run does.

    Attributes:
        seconds: wall time.
        programs: how many were asked for.
        from_cache: how many of them the disk held.
        compile_seconds: of compiling them, or reading them from disk.
    """

    seconds: float
    programs: int
    from_cache: int
    compile_seconds: float


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What was found.

    Attributes:
        devices: kind of each device that JAX sees.
        backend: "cpu", "gpu" or "tpu".
        idle: a device of the machine that JAX does not use; empty for none.
        versions: of Python and packages.
        extras: what is missing of each extra of segjax, nothing where it is installed.
        cache: folder of compiled programs.
        programs: how many it holds.
        cache_bytes: how large it is.
        first_run: what scoring a small pair took just now.
    """

    devices: Sequence[str]
    backend: str
    idle: str
    versions: Mapping[str, str]
    extras: Mapping[str, Sequence[str]]
    cache: str
    programs: int
    cache_bytes: int
    first_run: FirstRun


def environment() -> Environment:
    """Look at the installation, and score a small pair; nothing else is changed."""
    tried = _first_run()
    folder = Path(getattr(jax.config, "jax_compilation_cache_dir", None) or cache_folder())
    programs = sorted(folder.glob("*-cache")) if folder.is_dir() else []
    there = next((path for path in _GPUS if Path(path).exists()), "")
    return Environment(
        devices=[f"{d.platform}: {d.device_kind}" for d in jax.devices()],
        backend=jax.default_backend(),
        idle=there if jax.default_backend() == "cpu" else "",
        versions={"segjax": __version__, "python": platform.python_version()}
        | {name: version for name in _VERSIONS if (version := _version(name))},
        extras=extras(),
        cache=str(folder),
        programs=len(programs),
        cache_bytes=sum(path.stat().st_size for path in programs),
        first_run=tried,
    )


def _first_run() -> FirstRun:
    mask = np.zeros((64, 64), bool)
    mask[16:40, 20:50] = True
    begun = time.perf_counter()
    with counting_compilations() as seen:
        evaluate(reference=mask, prediction=np.roll(mask, 2, 0), metrics=["dice", "hd95"])
    return FirstRun(
        seconds=round(time.perf_counter() - begun, 3),
        programs=seen["programs"],
        from_cache=seen["from_cache"],
        compile_seconds=round(seen["seconds"], 3),
    )


def extras() -> dict[str, list[str]]:
    """Packages that are missing of each extra a user may want, by what segjax itself declares."""
    needed: dict[str, list[str]] = defaultdict(list)
    for requirement in _requirements():
        found = re.fullmatch(
            r"""([\w.-]+)(?:\[\w+\])?[^;]*;\s*extra\s*==\s*['"](\w+)['"]""", requirement
        )
        if found is not None and found[2] not in _OF_DEVELOPERS:
            needed[found[2]].append(_PLUGINS.get(found[2], found[1]))
    return {
        extra: [name for name in packages if _version(name) is None]
        for extra, packages in needed.items()
    }


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("segjax") or []
    except importlib.metadata.PackageNotFoundError:  # run from its sources
        return []


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
