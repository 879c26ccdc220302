"""Files: image formats, folder layouts, and writing that survives a crash.

The only place that knows files. Everything that can be wrong with one is raised from
here, as an `InputError` that names the file and how to mend it.
"""

from segjax.io._problem import shown as shown
from segjax.io.label_names import (
    Labelling as Labelling,
    read_label_names as read_label_names,
    read_labelling as read_labelling,
)
from segjax.io.layouts import duplicates as duplicates, pair as pair
from segjax.io.pairing import Pair as Pair, Pairing as Pairing, natural as natural
from segjax.io.patterns import is_pattern as is_pattern
from segjax.io.read import (
    FORMATS as FORMATS,
    Format as Format,
    is_readable as is_readable,
    open_labels as open_labels,
    read_header as read_header,
    read_image as read_image,
    read_labels as read_labels,
    stem as stem,
)
from segjax.io.scores import read_summary as read_summary
from segjax.io.stored import Box as Box, StoredArray as StoredArray
from segjax.io.volume import (
    MAX_STORED as MAX_STORED,
    MAX_VOXELS as MAX_VOXELS,
    MILLIMETRES as MILLIMETRES,
    Volume as Volume,
    blank as blank,
    byte_size as byte_size,
    grid_difference as grid_difference,
    orientation as orientation,
    same_field_of_view as same_field_of_view,
)
from segjax.io.write import (
    Journal as Journal,
    journal_line as journal_line,
    output_folder as output_folder,
    read_journal as read_journal,
    write_atomic as write_atomic,
)
