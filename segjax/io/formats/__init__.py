"""One file per format: `read(path, *, labels, max_voxels, pixels) -> Volume`.

`labels` says whether label ids are wanted or a picture: a palette gives its indices for
the one and its colours for the other. Without `pixels` only the header is read, and the array
is of the right shape and type and holds nothing. A reader checks sizes before it allocates; it may
raise whatever its library raises, `segjax.io.read` words the error.
"""
