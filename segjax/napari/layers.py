"""Layers of a viewer as a question: checked for what arrays do not tell."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segjax._errors import InputError
from segjax.napari.live import Options, Question


_SHORT = {"pixel": "px", "micrometer": "µm", "nanometer": "nm", "millimeter": "mm"}
_SLACK = 1e-3  # relative, of the scales of layers that are the same


def question_of(
    reference: Any, results: Sequence[Any], image: Any = None, options: Options | None = None
) -> Question:
    """What to score, of layers that are chosen.

    Args:
        reference: a Labels layer; None to predict scores from the image.
        results: Labels layers.
        image: an Image layer.
        options: how.

    Raises:
        InputError: if layers are missing or do not lie on each other; it says which, and what to
            do.
    """
    if not results:
        raise InputError("no result is ticked; tick one or more Labels layers")
    first = results[0] if reference is None else reference
    if reference is None and image is None:
        raise InputError(
            "choose a reference to measure against, or an image to predict scores from"
        )
    for layer in results:
        if layer is reference:
            raise InputError(
                f"{layer.name!r} is the reference and a result at once; choose another for one"
            )
        _check_placed(first, layer)
    return Question(
        results={layer.name: _finest(layer) for layer in results},
        reference=None if reference is None else _finest(reference),
        image=None if image is None or reference is not None else _finest(image),
        spacing=tuple(map(float, np.abs(first.scale))),
        unit=unit_of(first),
        options=options or Options(),
    )


def unit_of(layer: Any) -> str:
    """The unit of lengths; empty if the axes differ in it.

    Example:
        >>> from types import SimpleNamespace
        >>> unit_of(SimpleNamespace(units=("micrometer", "micrometer")))
        'µm'
    """
    units = {str(unit) for unit in layer.units}
    unit = units.pop() if len(units) == 1 else ""
    return _SHORT.get(unit, unit)


def _finest(layer: Any) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _check_placed(first: Any, layer: Any) -> None:
    """The shapes are compared where the arrays are scored."""
    if first.ndim != layer.ndim:
        raise InputError(
            f"{first.name!r} has {first.ndim} axes and {layer.name!r} {layer.ndim}; choose layers "
            "of the same image"
        )
    if not np.allclose(first.scale, layer.scale, rtol=_SLACK):
        raise InputError(
            f"{first.name!r} has scale {_shown(first.scale)} and {layer.name!r} "
            f"{_shown(layer.scale)}; set layer.scale of both to the voxel size"
        )
    if not np.allclose(first.translate, layer.translate, atol=_SLACK * np.abs(first.scale).min()):
        raise InputError(
            f"{layer.name!r} is moved against {first.name!r} (translate {_shown(layer.translate)} "
            f"and {_shown(first.translate)}); set layer.translate of both alike"
        )


def _shown(numbers: Any) -> str:
    return ", ".join(f"{x:g}" for x in numbers)
