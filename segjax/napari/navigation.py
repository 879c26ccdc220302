"""Show an object: the viewer goes to it, near enough to see its neighbours."""

from typing import Any

import numpy as np

from segjax.objects import ObjectTable


_ROOM = 5.0  # times its diameter are seen


def go_to(viewer: Any, layer: Any, table: ObjectTable, row: int) -> None:
    """Move the camera and the sliders of a viewer to one object.

    Args:
        viewer: with the layer.
        layer: whose voxels the table counts.
        table: of objects.
        row: which.
    """
    centre = table.index_sums[row] / table.voxels[row]
    world = np.asarray(layer.data_to_world(centre))
    hidden = len(viewer.dims.point) - world.size  # axes of other layers come first
    viewer.dims.set_point(range(hidden, hidden + world.size), world.tolist())
    viewer.reset_view(reset_camera_angle=False)
    extent = viewer.layers.extent.world
    displayed = list(viewer.dims.displayed)
    sides = (extent[1] - extent[0])[displayed]
    diameter = table.size[row] ** (1 / len(table.spacing))
    closer = max(1.0, float(sides.max()) / (_ROOM * max(diameter, 1e-12)))
    camera = getattr(viewer, "scene", viewer).camera  # moved in napari 0.9
    camera.zoom *= closer
    shown = [world[axis - hidden] if axis >= hidden else 0.0 for axis in displayed]
    camera.center = (0.0,) * (3 - len(shown)) + tuple(shown)
    layer.selected_label = int(table.label[row])
