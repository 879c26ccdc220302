"""Images and segmentations with known scores, made on the device."""
