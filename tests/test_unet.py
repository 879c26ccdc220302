"""The U-Net of the experiment on losses: one device or many, stopped or not, it learns the same."""

import csv
import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import _unet, unet_losses
from segjax.quality.training import claim
from tests.devices import run_on


RUN = _unet.Run(steps=6, patch=32, channels=(2, 4), validate_every=2, validation=8)
CODE = """
import json, sys
from experiments import _unet, unet_losses
import jax
run = _unet.Run(loss="dice + boundary", steps=3, patch=32, channels=(2, 4), validation=8)
trainer = _unet.Trainer(run, unet_losses.CHOICES[run.loss])
state, losses = trainer.first(), []
for _ in range(run.steps):
    state, loss = trainer.update(state)
    losses.append(float(loss))
spread = trainer.held(jax.random.key(0)).image.sharding.num_devices
print(json.dumps([spread, losses]))
"""


@pytest.fixture(scope="module")
def trainer():
    return _unet.Trainer(RUN, unet_losses.CHOICES["dice_ce"])


@pytest.mark.slow
def test_eight_devices_learn_as_one_does():
    found = [json.loads(run_on(n, CODE).stdout) for n in (1, 8)]
    assert [devices for devices, _ in found] == [1, 8]
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-4)


def test_a_run_that_was_stopped_goes_on_to_the_same_end(trainer, tmp_path):
    whole = _unet.train(trainer)
    update, seen = trainer.update, []

    def stopping(state):
        seen.append(int(state.step))
        if len(seen) == 5:
            raise KeyboardInterrupt
        return update(state)

    interrupted = trainer.of(RUN.seed)
    interrupted.update = stopping
    with pytest.raises(KeyboardInterrupt):
        _unet.train(interrupted, tmp_path / "run")
    resumed = _unet.train(interrupted, tmp_path / "run")
    assert seen == [0, 1, 2, 3, 4, 4, 5]
    jax.tree.map(np.testing.assert_array_equal, resumed.state, whole.state)
    lines = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [int(line["step"]) for line in lines] == [2, 4, 6]
    for line, row, twin in zip(lines, resumed.log, whole.log, strict=True):
        for name in ("loss", "dice of cases", "pooled dice"):
            assert float(line[name]) == row[name] == twin[name]
    assert (tmp_path / "run" / "events").exists() == bool(importlib.util.find_spec("tensorboardX"))


def test_a_folder_holds_one_run(trainer, tmp_path):
    claim(tmp_path, RUN, resume=True)
    with pytest.raises(SystemExit, match="another run"):
        _unet.train(trainer.of(seed=1), tmp_path)


def test_seeds_differ_in_weights_and_images_and_share_programs(trainer):
    first, second = trainer, trainer.of(seed=1)
    assert first.update is second.update
    losses = [float(t.update(t.first())[1]) for t in (first, second)]
    assert losses[0] != losses[1]


def test_pieces_of_the_mask_are_the_objects():
    labels = jnp.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 0, 0], [3, 3, 3, 0]])
    expected = [[1, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]]
    assert _unet._apart(labels).tolist() == np.array(expected, bool).tolist()


def test_scores_of_the_truth_are_perfect():
    held = jax.jit(lambda key: _unet.images(key, 8, 32))(jax.random.key(0))
    held = jax.tree.map(np.asarray, held)
    scores = unet_losses.score(held, 2.0 * held.mask[..., None] - 1)
    assert (scores["dice"], scores["hd95"], scores["nsd"]) == (1, 0, 1)
    missed = unet_losses.score(held, -np.ones((8, 32, 32, 1)))
    assert missed["hd95"] == pytest.approx(32 * 2**0.5)
    assert missed["dice"] == missed["seg"] == 0


def test_a_gain_is_paired_by_seed():
    rows = [
        {"loss": name, "seed": seed, "dice": 0.5, "hd95": hd, "nsd": 0.5, "seg": 0.5, "seconds": 1}
        for name, values in {"dice": (9, 5, 7), "better": (8, 4.1, 6.1), "noisy": (9, 3, 6)}.items()
        for seed, hd in enumerate(values)
    ]
    plain, better, noisy = unet_losses.gains(rows)
    assert "hd95 gain" not in plain
    assert better["hd95 gain"] == pytest.approx(2.8 / 3)
    assert better["hd95 beyond noise"]
    assert noisy["hd95 gain"] == 1
    assert not noisy["hd95 beyond noise"]


def test_the_second_round_is_of_those_that_came_nearest():
    rows = [
        {"loss": name, "hd95": x}
        for name, values in {"dice": (1, 1), "a": (9, 3), "b": (5, 5), "c": (7, 6)}.items()
        for x in values
    ]
    assert unet_losses.nearest(rows, 2) == ["b", "a"]


def test_every_loss_is_tried_but_its_twin_of_several_classes():
    tried = {part for name in unet_losses.CHOICES for part in name.split(" + ")}
    from segjax.losses import LOSSES

    assert {loss.name for loss in LOSSES} - tried == {"lovasz_softmax"}
