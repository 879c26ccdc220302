"""Trained networks in files: weights, card and calibration in one archive of arrays.

Kernels are stored as float16, which moves predictions by less than 1e-3, and used as float32.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from segjax._errors import InputError
from segjax.quality.archive import digest, read_archive, refusing, write_archive
from segjax.quality.card import Card, card_of, network_of
from segjax.quality.conformal import Calibration
from segjax.quality.outliers import Usual
from segjax.quality.program import Weights, program_of
from segjax.quality.ribcage import Network


_MOST_BYTES = 256 * 2**20
_KIND = "file of weights"
_AGAIN = "download or write it again"
_SHIPPED = files("segjax") / "data" / "weights"


@dataclass(frozen=True, eq=False)
class Assessor:
    """A trained network with all that is needed to use it.

    Attributes:
        network: its shape; its outputs are the scores that it predicts.
        weights: what it has learned.
        card: how it is to be used.
        calibrations: residuals on held-out images, by output.
        usual: what its images look like; None if that is not known.
    """

    network: Network
    weights: Weights
    card: Card
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    usual: Usual | None = None

    def __post_init__(self) -> None:
        if len(self.card.patch) != self.network.dims:
            raise InputError(
                f"the card's patch {self.card.patch} does not suit a {self.network.dims}-D network"
            )
        self.network.grid(self.card.patch)
        program_of(self.network).check(self.weights)


def available_weights() -> tuple[str, ...]:
    """Names of the weights that come with segjax."""
    if not _SHIPPED.is_dir():
        return ()
    found = (path.name for path in _SHIPPED.iterdir() if path.name.endswith(".npz"))
    return tuple(sorted(name.removesuffix(".npz") for name in found))


def save_weights(path: str | Path, assessor: Assessor) -> None:
    """Write an assessor to a file; the same assessor gives the same bytes.

    Args:
        path: ends with .npz.
        assessor: what to write.
    """
    facts = {
        "format": 1,
        "network": asdict(assessor.network),
        "card": assessor.card.to_json(),
        "calibrations": {
            name: {"constant": c.constant, "per_object": c.per_object}
            for name, c in assessor.calibrations.items()
        },
    }
    arrays = {name: _halved(x) for name, x in _named(assessor.weights).items()}
    for name, c in assessor.calibrations.items():
        arrays[f"calibration/{name}"] = np.stack([c.residuals, c.counts]).astype(np.float32)
    if (usual := assessor.usual) is not None:
        facts["usual"] = {"rest": usual.rest, "threshold": usual.threshold, "ranges": usual.ranges}
        arrays["usual/mean"] = usual.mean.astype(np.float32)
        arrays["usual/axes"] = usual.axes.astype(np.float32)
    text = json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()
    arrays["card"] = np.frombuffer(text, np.uint8)
    write_archive(Path(path), arrays, compress=True)


def load_weights(source: str | os.PathLike[str]) -> Assessor:
    """Read an assessor.

    Args:
        source: the name of weights that come with segjax, or the path of a file.

    Raises:
        InputError: if there is no such file, or it is damaged, or holds anything else.
    """
    if isinstance(source, str) and source in available_weights():
        return _load_shipped(source)
    path = Path(source)
    if not path.is_file():
        names = ", ".join(available_weights()) or "none"
        raise InputError(
            f"{source}: there is no such file of weights; give a file written by segjax train, or "
            f"one of the names {names}"
        )
    with refusing(path, kind=_KIND, mend=_AGAIN):
        return _load(path)


@lru_cache(maxsize=8)
def _load_shipped(name: str) -> Assessor:
    return _load(Path(str(_SHIPPED / f"{name}.npz")))


def _load(path: Path) -> Assessor:
    arrays = read_archive(path, kind=_KIND, most_bytes=_MOST_BYTES, mend=_AGAIN)
    if "card" not in arrays:
        raise InputError(f"{path}: has no card; give a {_KIND} written by segjax train")
    for array in arrays.values():
        if array.dtype not in (np.float16, np.float32, np.uint8):
            raise InputError(f"{path}: holds {array.dtype} values; it is no {_KIND}")
    facts = json.loads(arrays["card"].tobytes().decode())
    if not isinstance(facts, dict) or facts.get("format") != 1:
        raise InputError(f"{path}: is of another version of segjax; update segjax, or {_AGAIN}")
    under = lambda prefix: {
        name.removeprefix(prefix): array.astype(np.float32)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    weights = Weights(*(_on_device(under(f"{part}/")) for part in Weights._fields))
    if not all(np.isfinite(x).all() for x in arrays.values()):
        raise InputError(f"{path}: holds values that are not finite; {_AGAIN}")
    calibrations = {}
    for name, (residuals, counts) in under("calibration/").items():
        spread = facts["calibrations"][name]
        calibrations[name] = Calibration(
            residuals.astype(float),
            counts.astype(float),
            float(spread["constant"]),
            float(spread["per_object"]),
        )
    usual = None
    if "usual" in facts:
        said, parts = facts["usual"], under("usual/")
        ranges = {k: (float(low), float(high)) for k, (low, high) in said["ranges"].items()}
        usual = Usual(
            parts["mean"], parts["axes"], float(said["rest"]), float(said["threshold"]), ranges
        )
    try:
        network, card = network_of(path, facts["network"]), card_of(path, facts["card"])
        return Assessor(network, weights, card, calibrations, usual)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {str(error)[:300]}; {_AGAIN}") from None


def _halved(x: np.ndarray) -> np.ndarray:
    """Kernels as float16; what has one axis is small, and may have any scale."""
    half = x.astype(np.float16)
    return half if x.ndim > 1 and np.isfinite(half).all() else x


def fingerprint(assessor: Assessor) -> str:
    """Tells networks apart: a digest of all weights."""
    return digest(_named(assessor.weights)).hex()[:16]


def _named(weights: Weights) -> dict[str, np.ndarray]:
    return {
        f"{kind}/{name}": np.asarray(x, np.float32)
        for kind, part in weights._asdict().items()
        for name, x in part.items()
    }


def _on_device(arrays: Mapping[str, np.ndarray]) -> dict[str, Array]:
    return {name: jnp.asarray(x) for name, x in arrays.items()}
