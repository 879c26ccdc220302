"""Array operations that know nothing of segmentation: arrays in, arrays out."""
