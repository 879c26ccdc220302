"""Images larger than memory: the same scores, tile by tile.

Whole numbers only add, so what is counted of tiles is exact; label ids hold for the whole
image. Pieces of labels are joined across the borders of tiles, and distances measured across
them.
"""

from segjax.tiles.case import TiledCase as TiledCase, make_tiled_case as make_tiled_case
from segjax.tiles.evaluation import (
    Measured as Measured,
    evaluate_tiled as evaluate_tiled,
    measure as measure,
    why_not as why_not,
)
