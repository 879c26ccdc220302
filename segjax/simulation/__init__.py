"""Images whose truth is known: phantoms, and what segmentations make of them."""
