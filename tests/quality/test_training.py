import csv
import shutil
import struct
from dataclasses import replace

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from segjax import InputError
from segjax.quality import training as rooms
from segjax.quality.log import Log
from segjax.quality.ribcage import Network
from segjax.quality.training import VALIDATION, Run, Training, train
from segjax.simulation.maps import MAPS
from segjax.simulation.pairs import Pair, Pairs
from segjax.simulation.phantoms import Nuclei
from tests.devices import run_on


NUCLEI = Nuclei(shape=(32, 32), objects=3, count=(1.0, 3.0))
SMALL = Training(
    network=Network(
        channels=(4, 6), dense=(8,), outputs=("SEG", "Dice"), maps=MAPS, padding="SAME"
    ),
    pairs=Pairs(nuclei=NUCLEI, targets=("SEG", "Dice")),
    steps=8,
    batch=8,
    warmup=2,
    validate_every=4,
    validation=16,
    steps_per_call=2,
)


class Killed(Exception):
    pass


def losses_of(folder):
    with (folder / "log.csv").open(newline="") as file:
        return [(row["step"], row["loss"], row["SEG mae"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "whole"
    return folder, train(SMALL, output=folder)


def test_a_killed_run_resumes_to_the_same_losses(finished, tmp_path):
    folder, whole = finished
    other = tmp_path / "killed"

    def kill(progress):
        if progress.step == 4:
            raise Killed

    with pytest.raises(Killed):
        train(SMALL, output=other, on_progress=kill)
    resumed = train(SMALL, output=other, resume=True)
    assert losses_of(other) == losses_of(folder)
    assert resumed.step == whole.step
    for name, value in whole.weights.parameters.items():
        np.testing.assert_array_equal(value, resumed.weights.parameters[name])
    for name, value in whole.weights.statistics.items():
        np.testing.assert_array_equal(value, resumed.weights.statistics[name])


def test_a_run_killed_while_it_saves_resumes_from_the_checkpoint_before(finished, tmp_path):
    folder, _ = finished
    other = tmp_path / "torn"
    shutil.copytree(folder, other)
    newest = other / "checkpoints" / "8.npz"
    newest.write_bytes(newest.read_bytes()[:-999])
    train(SMALL, output=other, resume=True)
    assert losses_of(other) == losses_of(folder)


def test_weights_learn_and_the_best_are_kept(finished):
    _, trained = finished
    random = rooms.program_of(SMALL.network).random(SMALL.seed)
    assert any(
        np.any(np.asarray(trained.weights.parameters[n]) != x) for n, x in random.parameters.items()
    )
    assert trained.step in (4, 8)
    assert trained.seconds > 0


def test_steps_per_call_and_output_do_not_matter(finished):
    folder, whole = finished
    told = []
    other = train(replace(SMALL, steps_per_call=1), on_progress=told.append)
    for name, value in whole.weights.parameters.items():
        np.testing.assert_allclose(value, other.weights.parameters[name], atol=1e-6)
    assert [p.step for p in told] == [4, 8]
    assert [f"{p.step}" for p in told] == [step for step, *_ in losses_of(folder)]


EIGHT = """
import jax, numpy as np
from segjax.quality import training as rooms
from tests.quality.test_training import SMALL

assert jax.device_count() == 8
losses = {}
for devices in (1, 8):
    rooms._sharing = lambda batch: jax.devices()[:devices]
    run = rooms.Run(SMALL)
    state = run.first(None)
    losses[devices] = []
    for _ in range(3):
        state, loss = run.advance(state)
        losses[devices].extend(loss)
assert len(state.averaged.parameters["output/bias"].sharding.device_set) == 8
# Sums in another order; Adam divides small gradients by their size, so the last digits grow.
np.testing.assert_allclose(losses[1][:2], losses[8][:2], rtol=1e-5)
np.testing.assert_allclose(losses[1], losses[8], rtol=5e-3)
"""


def test_eight_devices_give_the_losses_of_one():
    done = run_on(8, EIGHT)
    assert done.returncode == 0, done.stderr


def plain_pair(key, pairs, pool):
    """Noise, two of its quantiles, and something to predict: quick to compile."""
    image = jax.random.normal(key, pairs.nuclei.shape)
    reference, evaluated = ((image > t).astype(jnp.int32) for t in (0.5, 1.0))
    scores = jnp.stack([image.mean(), image.std()])
    return Pair(image, evaluated + 0.0, scores, jnp.ones(2, bool), reference, evaluated)


NUMBERS = """
import jax, numpy as np
from dataclasses import replace
from jax.sharding import AxisType
from segjax.quality import training as rooms
from tests.quality.test_training import SMALL, plain_pair

rooms.make_pair = plain_pair
network = replace(SMALL.network, channels=(2, 2), dense=(), maps=())
training = replace(SMALL, network=network, steps=2, validate_every=2, validation=8)
# Whatever mesh the caller has set for arrays of theirs.
for devices, kind in (1, None), (2, AxisType.Auto), (4, AxisType.Explicit), (8, AxisType.Explicit):
    if kind is not None:
        jax.set_mesh(jax.make_mesh((8,), ("case",), (kind,)))
    rooms._sharing = lambda batch: jax.devices()[:devices]
    told = []
    weights = rooms.train(training, on_progress=told.append).weights
    found = [told[0].loss, *(s.mae for s in told[0].validation.values()), *jax.tree.leaves(weights)]
    found = [np.asarray(x) for x in found]
    if devices == 1:
        expected = found
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
print("agreed")
"""


def test_any_number_of_devices_trains_alike():
    done = run_on(8, NUMBERS)
    assert done.stdout == "agreed\n", done.stderr


def test_one_program_holds_everything_and_lowers_for_accelerators():
    run = Run(SMALL)
    state = run.first(None)
    lowered = run._advance.lower(state, None, steps=2)
    text = lowered.as_text()
    for transfer in ("callback", "infeed", "outfeed", "send", "recv"):
        assert f"stablehlo.{transfer}" not in text
        assert transfer != "callback" or "callback" not in text
    exported = jax.export.export(
        jax.jit(lambda s: run._steps(s, None, 2)), platforms=("cuda", "tpu")
    )(jax.eval_shape(lambda: state))
    assert exported.platforms == ("cuda", "tpu")


def test_held_out_pairs_are_never_trained_on():
    run = Run(SMALL)
    (pairs, _), *_ = run.hold_out(VALIDATION, 8)
    trained, _ = run._make(run.keys(rooms.TRAINING, 0, 8), None)
    a, b = (np.asarray(p.image).reshape(8, -1) for p in (pairs, trained))
    assert not (a[:, None] == b[None]).all(-1).any()


def test_a_run_stops_when_it_no_longer_improves(monkeypatch):
    validate, told = Run.validate, []

    def worse(run, weights, held):
        return [result._replace(mae=float(len(told))) for result in validate(run, weights, held)]

    monkeypatch.setattr(Run, "validate", worse)
    trained = train(replace(SMALL, validate_every=2, patience=2), on_progress=told.append)
    assert [p.step for p in told] == [2, 4, 6]
    assert trained.step == 2


def test_another_run_in_the_folder_is_refused(finished):
    folder, _ = finished
    with pytest.raises(InputError, match="holds a run; resume"):
        train(SMALL, output=folder)
    with pytest.raises(InputError, match="another run: seed"):
        train(replace(SMALL, seed=5), output=folder, resume=True)


def events_in(folder):
    """Steps and values as TensorBoard finds them, file after file, and where a run went on."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    masked_crc32c = pytest.importorskip("tensorboardX.record_writer").masked_crc32c
    values, starts = [], []
    for path in sorted((folder / "events").iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            data = content[at + 12 : at + 12 + length]
            sums = [struct.unpack_from("<I", content, i)[0] for i in (at + 8, at + 12 + length)]
            assert sums == [masked_crc32c(x) for x in (content[at : at + 8], data)]
            event = event_pb2.Event.FromString(data)
            values += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
            starts += [event.step] if event.HasField("session_log") else []
            at += 16 + length
    return values, starts


def test_events_say_what_the_log_does(tmp_path):
    Log(tmp_path).write(2, {"loss": 0.5, "SEG r": 0.25})
    Log(tmp_path, after=2).write(4, {"loss": 0.125, "SEG r": 0.75})
    values, starts = events_in(tmp_path)
    assert values == [
        (2, "loss", 0.5),
        (2, "SEG_r", 0.25),
        (4, "loss", 0.125),
        (4, "SEG_r", 0.75),
    ]
    assert starts == [3]
    with (tmp_path / "log.csv").open(newline="") as file:
        assert [(r["step"], r["loss"]) for r in csv.DictReader(file)] == [
            ("2", "0.5"),
            ("4", "0.125"),
        ]


@pytest.mark.parametrize("text", ["step\n2,3\n", "loss\n1\n", "step,loss\nx,1\n", "step,loss\n1\n"])
def test_a_damaged_log_is_refused(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError, match=r"log.csv: is no log of a training .*; delete it"):
        Log(tmp_path, after=2)


def test_a_damaged_description_is_refused(tmp_path):
    (tmp_path / "training.json").write_text("[1")
    with pytest.raises(InputError, match=r"training.json: is no valid JSON"):
        train(SMALL, output=tmp_path, resume=True)
    (tmp_path / "training.json").write_text("[1]")
    with pytest.raises(InputError, match=r"training.json: is no description of a run"):
        train(SMALL, output=tmp_path, resume=True)


def test_damaged_checkpoints_are_refused(finished, tmp_path):
    folder, _ = finished
    other = tmp_path / "damaged"
    shutil.copytree(folder, other)
    for path in (other / "checkpoints").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(InputError, match="train anew"):
        train(SMALL, output=other, resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"pairs": Pairs(nuclei=NUCLEI)}, "not the targets"),
        ({"network": replace(SMALL.network, dims=3)}, "3-D patches"),
    ],
)
def test_runs_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **options)
