import json

import numpy as np
import pytest
import tifffile

from segjax import InputError
from segjax.cli import main
from segjax.quality import load_weights
from segjax.quality.annotated import read_pools


PATCH = (32, 32)


def discs(shape, centres, radius):
    y, x = np.indices(shape)
    labels = np.zeros(shape, np.uint16)
    for i, (row, column) in enumerate(centres):
        labels[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = 5 * (i + 1)
    return labels


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = tmp_path / "images", tmp_path / "truth"
    images.mkdir()
    labels.mkdir()
    for i in range(6):
        shape = (60 + 4 * i, 70)
        truth = discs(shape, *(([(20, 20), (40, 50)], 11) if i < 5 else ([(40, 35)], 22)))
        noise = rng.normal(100, 5, shape)
        tifffile.imwrite(images / f"a{i}.tif", (noise + 200 * (truth > 0)).astype(np.uint16))
        tifffile.imwrite(labels / f"a{i}.tif", truth)
    return images, labels


def test_images_are_normalised_scaled_and_shared_out(folders):
    learned, held = read_pools(*folders, PATCH)
    assert len(learned.images) == 4
    assert len(held.images) == 2
    assert 0.9 < float(np.median(held.images[0][held.labels[0] > 0])) < 1.1
    # The last one's objects are twice as large, so it shrinks; both are held out.
    areas = [np.bincount(np.asarray(x).ravel())[1:] for x in held.labels]
    for found in areas:
        np.testing.assert_allclose(2 * np.sqrt(found / np.pi), 22, atol=1.0)
    assert held.shapes.tolist() == [[60, 70], [40, 35]]
    assert learned.images.shape == (4, 76, 70)
    assert np.all(np.unique(learned.labels) == [0, 1, 2])


def test_a_diameter_that_is_given_counts(folders):
    _, held = read_pools(*folders, PATCH, diameter=44.0)
    assert held.shapes.tolist() == [[32, 35], [40, 35]]  # padded to a patch


def test_one_image_is_too_few(folders):
    images, labels = folders
    for path in sorted(labels.iterdir())[1:]:
        path.unlink()
    with pytest.raises(InputError, match="1 annotated images with objects are too few"):
        read_pools(images, labels, PATCH)


def test_images_that_cannot_be_used_are_named(folders):
    images, labels = folders
    tifffile.imwrite(images / "a3.tif", np.zeros((5, 5), np.uint16))
    with pytest.raises(InputError, match=r"a3\.tif.*shape"):
        read_pools(images, labels, PATCH)


TINY = ("--steps", "2", "--batch", "2", "--validate-every", "2")


@pytest.fixture
def small(monkeypatch):
    """The runs of the command line at a size for tests."""
    from dataclasses import replace

    from segjax.quality import presets, producing

    def smaller(training):
        nuclei = replace(training.pairs.nuclei, shape=PATCH, objects=3, count=(1.0, 3.0))
        network = replace(training.network, channels=(4, 4), dense=(4,))
        pairs = replace(training.pairs, nuclei=nuclei)
        return replace(training, network=network, pairs=pairs, validation=8)

    runs = {name: smaller(run) for name, run in presets.PRESETS.items() if "2d" in name}
    monkeypatch.setattr(presets, "PRESETS", runs)
    make = producing.make_assessor
    monkeypatch.setattr(
        producing,
        "make_assessor",
        lambda trained, **given: make(trained, **given, calibration=48, test=16),
    )


def test_training_from_the_command_line(folders, tmp_path, small, capsys):
    images, labels = folders
    out = tmp_path / "run"
    asked = ["train", "-o", str(out), "--targets", "SEG,Dice", *TINY]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "2/2 updates" in said
    assert "SEG    on held-out pairs" in said
    assessor = load_weights(out / "weights.npz")
    assert assessor.network.outputs == ("SEG", "Dice")
    assert assessor.card.samples == 4
    assert set(assessor.calibrations) == {"SEG", "Dice"}
    assert json.loads((out / "training.json").read_text())["steps"] == 2
    assert main(asked) == 2  # the folder holds a run
    assert "resume it" in capsys.readouterr().err

    own = tmp_path / "own"
    asked = ["train", "-o", str(own), "--images", str(images), "--labels", str(labels), *TINY]
    start = ["--targets", "Dice,SEG", "--start", str(out / "weights.npz")]
    assert main([*asked, *start]) == 0
    card = load_weights(own / "weights.npz").card
    assert "annotated by a user" in card.data
    assert card.samples == 8  # those of the weights that it started from too
    assert main(["assess", str(images), str(labels), "--weights", str(own / "weights.npz")]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "somewhere"], "both --images and --labels"),
        (["--targets", "nonsense"], "nonsense"),
        (["--start", "nowhere.npz"], "there is no such file of weights"),
        (["--batch", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, message, tmp_path, small, capsys):
    assert main(["train", "-o", str(tmp_path / "run"), *options]) == 2
    assert message in capsys.readouterr().err
