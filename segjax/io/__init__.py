"""Files: image formats, folder layouts, and writing that survives a crash.

The only place that knows files. Everything that can be wrong with one is raised from
here, as an `InputError` that names the file and how to mend it.
"""

from segjax.io.label_names import read_label_names as read_label_names
from segjax.io.layouts import pair as pair
from segjax.io.pairing import Pair as Pair, Pairing as Pairing, natural as natural
from segjax.io.read import (
    FORMATS as FORMATS,
    Format as Format,
    is_readable as is_readable,
    read_image as read_image,
    read_labels as read_labels,
    stem as stem,
)
from segjax.io.volume import (
    MAX_VOXELS as MAX_VOXELS,
    MILLIMETRES as MILLIMETRES,
    Volume as Volume,
    byte_size as byte_size,
    grid_difference as grid_difference,
)
from segjax.io.write import Journal as Journal, write_atomic as write_atomic
