"""What is said of a network beside its weights: how it is to be used, and what it is worth."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segjax._errors import InputError
from segjax.quality.ribcage import Network
from segjax.simulation.coding import CODINGS, PERCENTILES


_DEEPEST = 8  # blocks, and dense layers: what a file may ask for
_WIDEST = 4096


@dataclass(frozen=True)
class Card:
    """Facts about a trained network; plain values, so that it is JSON.

    Attributes:
        name: of the weights.
        patch: shape of what the network was trained on.
        diameter: of its objects, in pixels of the last axis.
        spacing: of its voxels, of which only the ratio matters.
        percentiles: of the intensities, that become 0 and 1.
        normalised: over the whole "image", or over each "patch".
        coding: of the segmentation, "trinary" or "binary".
        data: what it was trained on, in words.
        perturbations: how segmentations were made for it, in words.
        seed: of the training.
        samples: pairs seen in training.
        results: of tests, by name.
        limits: what it cannot do, in words.
    """

    name: str
    patch: tuple[int, ...]
    diameter: float = 22.0
    spacing: tuple[float, ...] = ()
    percentiles: tuple[float, float] = PERCENTILES
    normalised: str = "image"
    coding: str = "trinary"
    data: str = ""
    perturbations: str = ""
    seed: int = 0
    samples: int = 0
    results: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.spacing:
            object.__setattr__(self, "spacing", (1.0,) * len(self.patch))
        low, high = self.percentiles
        sound = {
            "patch": len(self.patch) in (2, 3) and all(1 <= n <= 4096 for n in self.patch),
            "diameter": 0 < self.diameter < math.inf,
            "spacing": len(self.spacing) == len(self.patch)
            and all(0 < s < math.inf for s in self.spacing),
            "percentiles": 0 <= low < high <= 100,
            "normalised": self.normalised in ("image", "patch"),
            "coding": self.coding in CODINGS,
        }
        for name, right in sound.items():
            if not right:
                raise InputError(f"card of weights: {name} cannot be {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def card_of(path: Path, found: Any) -> Card:
    """Read a card from plain values.

    Raises:
        InputError: if a value is missing or of the wrong kind; the message names `path`.
    """
    return Card(**_typed(path, found, _CARD, needed=("name", "patch")))


def network_of(path: Path, found: Any) -> Network:
    """Read the shape of a network from plain values.

    Raises:
        InputError: if a value is missing, of the wrong kind, or very large.
    """
    network = Network(**_typed(path, found, _NETWORK, needed=("channels", "outputs")))
    widths = (*network.channels, *network.dense)
    deep = max(map(len, (network.channels, network.dense, network.outputs, network.maps)))
    if deep > _DEEPEST or not all(1 <= n <= _WIDEST for n in widths):
        raise InputError(f"{path}: asks for a network of {network.channels}; it is no file of ours")
    return network


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**63:
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 10_000:
        raise TypeError
    return value


def _several(kind: Any) -> Any:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) > 1000:
            raise TypeError
        return tuple(kind(v) for v in value)

    return read


def _pair(value: Any) -> tuple[float, float]:
    low, high = _several(_number)(value)
    return low, high


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


_CARD = {
    "name": _text,
    "patch": _several(_whole),
    "diameter": _number,
    "spacing": _several(_number),
    "percentiles": _pair,
    "normalised": _text,
    "coding": _text,
    "data": _text,
    "perturbations": _text,
    "seed": _whole,
    "samples": _whole,
    "results": _mapping,
    "limits": _several(_text),
}
_NETWORK = {
    "kind": _text,
    "dims": _whole,
    "channels": _several(_whole),
    "dense": _several(_whole),
    "outputs": _several(_text),
    "maps": _several(_text),
    "padding": _text,
    "activation": _text,
}


def _typed(
    path: Path, found: Any, kinds: Mapping[str, Any], needed: tuple[str, ...]
) -> dict[str, Any]:
    """The values that are known, each as its kind; others are of a later version and ignored."""
    found = found if isinstance(found, dict) else {}
    for name in needed:
        if name not in found:
            raise InputError(f"{path}: its card lacks {name}; it is no file of weights")
    typed = {}
    for name, read in kinds.items():
        if name in found:
            try:
                typed[name] = read(found[name])
            except (TypeError, ValueError):
                raise InputError(
                    f"{path}: {name} in its card is no such value; download or write it again"
                ) from None
    return typed
