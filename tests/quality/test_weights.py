"""Weights survive a file, and a file of anything else is told."""

import io
import json
import zipfile
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from segjax import InputError
from segjax.quality.archive import read_archive, write_archive
from segjax.quality.running import run
from segjax.quality.weights import available_weights, fingerprint, load_weights, save_weights
from tests.quality import toy


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "toy.npz"
    save_weights(path, toy.calibrated_toy())
    return path


def test_weights_survive_a_file(stored, rng):
    before, after = toy.calibrated_toy(), load_weights(stored)
    assert (after.card, after.network) == (before.card, before.network)
    image, labels = toy.patches(rng, 3)
    np.testing.assert_allclose(
        run(after, image, labels).scores, run(before, image, labels).scores, atol=2e-3
    )
    for name, c in before.calibrations.items():
        found = after.calibrations[name].interval(0.5, 4.0)
        np.testing.assert_allclose(found, c.interval(0.5, 4.0), rtol=1e-5)
    features = rng.normal(size=(2, len(before.usual.mean)))
    np.testing.assert_allclose(
        after.usual.distance(features), before.usual.distance(features), rtol=1e-5
    )
    assert after.usual.ranges == before.usual.ranges


def test_the_same_weights_give_the_same_bytes(stored, tmp_path):
    save_weights(tmp_path / "again.npz", toy.calibrated_toy())
    assert (tmp_path / "again.npz").read_bytes() == stored.read_bytes()


def test_weights_of_a_file_are_told_from_others(stored):
    other = toy.toy()
    changed = {k: x + 1 if "output" in k else x for k, x in other.weights.parameters.items()}
    weights = other.weights._replace(parameters=changed)
    assert fingerprint(other) != fingerprint(replace(other, weights=weights))


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {m.filename: archive.read(m) for m in archive.infolist()}


def rewritten(path, parts):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def npy(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def test_a_damaged_file_is_refused(stored, tmp_path):
    parts = contents(stored)
    name = next(n for n in parts if n.startswith("parameters/"))
    data = bytearray(parts[name])
    data[-1] ^= 1
    path = rewritten(tmp_path / "bent.npz", parts | {name: bytes(data)})
    with pytest.raises(InputError, match=r"bent.npz: its checksum is wrong"):
        load_weights(path)


def test_a_changed_card_is_refused(stored, tmp_path):
    parts = contents(stored)
    card = np.load(io.BytesIO(parts["card.npy"])).tobytes().replace(b'"toy"', b'"wit"')
    path = rewritten(
        tmp_path / "card.npz", parts | {"card.npy": npy(np.frombuffer(card, np.uint8))}
    )
    with pytest.raises(InputError, match="checksum"):
        load_weights(path)


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_a_cut_file_is_refused(stored, tmp_path, cut):
    path = tmp_path / "cut.npz"
    path.write_bytes(stored.read_bytes()[:cut])
    with pytest.raises(InputError, match="damaged"):
        load_weights(path)


def test_a_pickle_is_never_opened(stored, tmp_path):
    parts = contents(stored) | {"extra.npy": npy(np.array([{}], object), allow_pickle=True)}
    with pytest.raises(InputError, match="pickle"):
        load_weights(rewritten(tmp_path / "pickle.npz", parts))


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("card.npy", "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(bytes(2**20))
    with pytest.raises(InputError, match="would unpack to"):
        load_weights(path)


def test_a_header_that_promises_too_much_is_refused(stored, tmp_path):
    header = npy(np.zeros(1, np.float32)).replace(b"(1,)", b"(99999999999999,)")
    parts = contents(stored) | {"huge.npy": header}
    with pytest.raises(InputError, match="huge"):
        load_weights(rewritten(tmp_path / "huge.npz", parts))


def signed(stored, tmp_path, change):
    """A file with other facts, and the checksum of these."""
    arrays = read_archive(stored, kind="file", most_bytes=2**20, mend="")
    facts = json.loads(arrays["card"].tobytes())
    change(facts)
    arrays["card"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    write_archive(tmp_path / "x.npz", arrays, compress=True)
    return tmp_path / "x.npz"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f["network"].update(channels=[10**9]), "no file of ours"),
        (lambda f: f["network"].update(channels=[4, 5]), "another network"),
        (lambda f: f["network"].update(channels="abc"), "channels"),
        (lambda f: f["network"].update(kind="tree"), "unknown kind"),
        (lambda f: f["network"].pop("outputs"), "lacks outputs"),
        (lambda f: f["card"].update(patch=[20]), "patch"),
        (lambda f: f["card"].update(patch=[8, 16, 16]), "spacing"),
        (lambda f: f["card"].update(diameter=-1), "diameter"),
        (lambda f: f["card"].update(name=3), "name"),
        (lambda f: f.update(format=99), "another version"),
        (lambda f: f.update(calibrations=3), "damaged|unpacked"),
    ],
)
def test_facts_that_make_no_sense_are_refused(stored, tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        load_weights(signed(stored, tmp_path, change))


@pytest.mark.parametrize("change", [{"kind": ""}, {"dims": 7}])
def test_facts_that_make_no_sense_are_told_with_the_file(stored, tmp_path, change):
    with pytest.raises(InputError, match=r"x\.npz: "):
        load_weights(signed(stored, tmp_path, lambda f: f["network"].update(change)))


def test_a_file_that_is_not_there_is_told_from_a_name(tmp_path):
    with pytest.raises(InputError, match="no such file of weights"):
        load_weights(tmp_path / "absent.npz")
    with pytest.raises(InputError, match="no such file of weights"):
        load_weights("nuclei-9d")


def test_all_weights_that_come_with_segjax_can_be_loaded():
    assert available_weights() == ("nuclei-2d", "nuclei-3d")
    for name in available_weights():
        assessor = load_weights(name)
        assert assessor.card.name == name
        assert (
            set(assessor.calibrations)
            == set(assessor.network.outputs)
            == set(assessor.card.results)
        )
    folder = files("segjax") / "data" / "weights"
    assert sum(len(path.read_bytes()) for path in folder.iterdir()) < 8 * 2**20


def test_other_arrays_are_no_weights(tmp_path):
    np.savez(tmp_path / "labels.npz", labels=np.zeros((4, 4), np.float32))
    with pytest.raises(InputError, match="no checksum"):
        load_weights(tmp_path / "labels.npz")
    write_archive(tmp_path / "other.npz", {"labels": np.zeros(4)}, compress=False)
    with pytest.raises(InputError, match="no card"):
        load_weights(tmp_path / "other.npz")
