"""Shared by all tests: reproducible draws, and a compilation cache that one run fills."""

import os
import sys
import tempfile
import zlib

import numpy as np
import pytest
from hypothesis import settings


# Subprocesses and workers share compiled programs; the user's own cache stays as it is.
os.environ.setdefault("SEGJAX_CACHE", os.path.join(tempfile.gettempdir(), "segjax-test-cache"))
# Most of the time goes into compiling; simple code, not optimised, takes a fifth of it.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)


@pytest.fixture
def rng(request):
    """Random numbers that differ between tests and not between days."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


settings.register_profile("house", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("house")


@pytest.fixture(params=["host", "device"])
def counting(request, monkeypatch):
    """Count host arrays by NumPy, as on a CPU, and by XLA, as on an accelerator."""
    module = sys.modules["segjax.statistics.confusion"]
    monkeypatch.setattr(module, "counts_on_host", lambda: request.param == "host")
