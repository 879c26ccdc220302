"""The measurement of live updates runs where napari is there."""

import pytest

from experiments import napari_live


pytest.importorskip("napari")


def test_it_measures_blocks_and_memory():
    alone, scored, memory = napari_live.run(napari_live.SMOKE)
    assert alone["longest_block_ms"] > 0
    assert scored["updates"] == napari_live.SMOKE.updates
    assert memory["end_mb"] > 0
