"""One page a person reads: scores, their spread, and pictures of where they come from.

`render` writes the page, `picture` draws a case, `contours` and `gallery` draw the distances
between its surfaces, and `worst_first` and `samples` say which cases deserve a picture. Names
are loaded when first used, so that the charts and the pictures cost no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from segjax.report.overlay import Picture as Picture, picture as picture
    from segjax.report.page import render as render
    from segjax.report.ranks import (
        boundary_metric as boundary_metric,
        samples as samples,
        worst_first as worst_first,
    )
    from segjax.report.surfaces import (
        Contours as Contours,
        Gallery as Gallery,
        contours as contours,
        gallery as gallery,
    )

_HOMES = {
    "Contours": "surfaces",
    "Gallery": "surfaces",
    "Picture": "overlay",
    "boundary_metric": "ranks",
    "contours": "surfaces",
    "gallery": "surfaces",
    "picture": "overlay",
    "render": "page",
    "samples": "ranks",
    "worst_first": "ranks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'segjax.report' has no attribute {name!r}")
    return getattr(importlib.import_module(f"segjax.report.{_HOMES[name]}"), name)
