"""Connected components by flooding from voxel to voxel: dictionaries, no runs, no trees."""

from itertools import product

import numpy as np


def components(labels, connectivity):
    """Numbers in raster order of the first voxels, and how many there are."""
    steps = [s for s in product((-1, 0, 1), repeat=labels.ndim) if 0 < sum(map(abs, s))]
    steps = [s for s in steps if sum(map(abs, s)) <= connectivity]
    label = {index: labels[index] for index in product(*map(range, labels.shape))}
    number, count = {}, 0
    for first in label:
        if label[first] == 0 or first in number:
            continue
        count += 1
        number[first], open_ = count, [first]
        while open_:
            here = open_.pop()
            for step in steps:
                there = tuple(i + s for i, s in zip(here, step, strict=True))
                if label.get(there, 0) == label[here] and there not in number:
                    number[there] = count
                    open_.append(there)
    found = [number.get(index, 0) for index in label]
    return np.array(found, np.int32).reshape(labels.shape), count
