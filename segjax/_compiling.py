"""Compiled programs: kept on disk between runs, and counted."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax


def counts_on_host() -> bool:
    """Whether counts of host arrays are best taken by NumPy.

    Where the device is the CPU itself, NumPy's population counts and histograms need no
    copy, no compilation and half the time of XLA's; the counts are the same.
    """
    return jax.default_backend() == "cpu"


def cache_folder() -> Path:
    """Where compiled programs are kept: `$SEGJAX_CACHE`, else in the platform's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SEGJAX_CACHE") or Path(home) / "segjax" / "xla")


def keep_compiled() -> None:
    """Cache compiled programs on disk, unless the user has said where (or not) to.

    In `cache_folder()`. Small programs are kept too:
    here they are many, and compiling is most of a short run. A folder that cannot be
    written, or a full disk, costs time and nothing else.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@contextmanager
def counting_compilations() -> Iterator[dict[str, Any]]:
    """Count the programs compiled inside, and how many of them the disk cache held.

    Yields:
        A dictionary with the keys "programs", "from_cache" and "seconds" (that compiling took,
        or reading from disk), filled in as it goes.
    """
    seen: dict[str, Any] = {"programs": 0, "from_cache": 0, "seconds": 0.0}
    open_ = [True]

    def on_duration(event: str, duration_secs: float, **_: Any) -> None:
        if open_ and event.endswith("backend_compile_duration"):
            seen["programs"] += 1
            seen["seconds"] += duration_secs

    def on_event(event: str, **_: Any) -> None:
        if open_ and event == "/jax/compilation_cache/cache_hits":
            seen["from_cache"] += 1

    jax.monitoring.register_event_duration_secs_listener(on_duration)
    jax.monitoring.register_event_listener(on_event)
    try:
        yield seen
    finally:
        open_.clear()  # listeners cannot be taken back in every supported JAX
