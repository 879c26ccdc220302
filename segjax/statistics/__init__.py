"""Sufficient statistics: computed once per case, shared by every metric of a family."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segjax.case import Case
from segjax.statistics.bands import (
    BoundaryBands as BoundaryBands,
    SurfaceBands as SurfaceBands,
    boundary_bands as boundary_bands,
    measure_bands as measure_bands,
    measure_surface_bands as measure_surface_bands,
)
from segjax.statistics.calibration import (
    Calibration as Calibration,
    calibration as calibration,
    measure_calibration as measure_calibration,
)
from segjax.statistics.centroid import (
    Centroids as Centroids,
    centroids as centroids,
    measure_centroids as measure_centroids,
)
from segjax.statistics.confusion import (
    Confusion as Confusion,
    Foreground as Foreground,
    Scribbles as Scribbles,
    confusion as confusion,
    count_foreground as count_foreground,
    count_labels as count_labels,
    count_many_labels as count_many_labels,
    count_masks as count_masks,
    count_scribbles as count_scribbles,
    label_confusion as label_confusion,
    pooled as pooled,
    soft_confusion as soft_confusion,
    with_prior as with_prior,
)
from segjax.statistics.contingency import (
    ConfusionMatrix as ConfusionMatrix,
    Contingency as Contingency,
    contingency as contingency,
    side_by_side as side_by_side,
)
from segjax.statistics.instances import (
    InstanceSurfaces as InstanceSurfaces,
    instance_surfaces as instance_surfaces,
    measure_instances as measure_instances,
)
from segjax.statistics.object_distances import (
    ObjectDistances as ObjectDistances,
    measure_objects as measure_objects,
    object_distances as object_distances,
)
from segjax.statistics.segments import (
    Listing as Listing,
    Segments as Segments,
    count_matrix as count_matrix,
    count_segments as count_segments,
    find_segments as find_segments,
    join_listings as join_listings,
    sum_indices as sum_indices,
)
from segjax.statistics.surface import (
    PointDistances as PointDistances,
    Surface as Surface,
    SurfaceDistances as SurfaceDistances,
    SurfaceTally as SurfaceTally,
    measure_many_points as measure_many_points,
    measure_many_surfaces as measure_many_surfaces,
    measure_points as measure_points,
    measure_surfaces as measure_surfaces,
    surface_distances as surface_distances,
)
from segjax.statistics.topology import (
    Skeletons as Skeletons,
    Topology as Topology,
    measure_skeletons as measure_skeletons,
    measure_topology as measure_topology,
    skeletons as skeletons,
    topology as topology,
)


# Builders from a case in host memory.
STATISTICS: Mapping[type, Callable[[Case], Any]] = {
    Confusion: count_labels,
    Foreground: count_foreground,
    Scribbles: count_scribbles,
    Contingency: count_segments,
    ConfusionMatrix: count_matrix,
    SurfaceDistances: measure_surfaces,
    PointDistances: measure_points,
    InstanceSurfaces: measure_instances,
    ObjectDistances: measure_objects,
    Centroids: measure_centroids,
    BoundaryBands: measure_bands,
    SurfaceBands: measure_surface_bands,
    Skeletons: measure_skeletons,
    Topology: measure_topology,
    Calibration: measure_calibration,
}

# Those of them that measure many cases at once, giving a leading case axis; the cases have
# the same labels and spacing.
STACKED: Mapping[type, Callable[[Sequence[Case]], Any]] = {
    Confusion: count_many_labels,
    SurfaceDistances: measure_many_surfaces,
    PointDistances: measure_many_points,
}
