"""Layers in the colours of their objects, and back."""

from collections.abc import Mapping
from typing import Any

from segjax.napari.triage import colormap, colours
from segjax.objects import ObjectTable


class Paint:
    """Colours of layers, remembering what they were."""

    def __init__(self) -> None:
        self._own: dict[Any, Any] = {}

    def apply(self, layers: Mapping[bool, Any], table: ObjectTable | None, way: str) -> bool:
        """Colour the layers of both sides; those coloured before and not now get theirs back.

        Args:
            layers: by whether it is the reference's.
            table: what becomes of the objects; without one, no layer is coloured.
            way: one of `segjax.napari.triage.WAYS`; empty to leave the layers as they are.

        Returns:
            False if this display cannot draw such colours; layers are then as they were.
        """
        if table is None or not way:
            self.restore()
            return True
        there = {side: layer for side, layer in layers.items() if layer is not None}
        self.restore([x for x in self._own if not any(x is y for y in there.values())])
        try:
            for side, layer in there.items():
                self._own.setdefault(layer, layer.colormap)
                layer.colormap = colormap(colours(table, way, reference=side))
        except TypeError:  # napari 0.9 asks for the size of a texture, which is None
            self.restore()
            return False
        return True

    def restore(self, layers: list[Any] | None = None) -> None:
        """Give layers their own colours back; all by default."""
        for layer in list(self._own) if layers is None else layers:
            layer.colormap = self._own.pop(layer)
