"""One file per format: `read(path, *, labels, max_voxels) -> Volume`.

`labels` says whether label ids are wanted or a picture: a palette gives its indices for
the one and its colours for the other. A reader checks sizes before it allocates; it may
raise whatever its library raises, `segjax.io.read` words the error.
"""
