"""Options that several commands read alike."""

import math

from segjax._errors import InputError


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """Positive numbers separated by commas; None for no text."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} takes numbers separated by commas, e.g. 3,0.8,0.8; got {text!r}"
        ) from None
    if not all(math.isfinite(v) and v > 0 for v in values):
        raise InputError(f"{option} must be positive, got {text}")
    return values
