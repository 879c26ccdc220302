"""Read each file once, and keep what the checks need of it."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segjax import io
from segjax._errors import InputError
from segjax.case import distinct
from segjax.folder.reading import read_ahead, sha256


@dataclass(frozen=True)
class Seen:
    """A label map without its voxels.

    Attributes:
        path: of the file.
        grid: shape, spacing and place; the array holds nothing.
        labels: that occur, ascending, 0 among them; none if only the header was read.
        stored_as: type of the numbers where these are floating-point; empty otherwise.
        scattered: what a warning says of labels that lie as intensities do.
    """

    path: Path
    grid: io.Volume
    labels: tuple[int, ...]
    stored_as: str = ""
    scattered: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.grid.array.shape


@dataclass(frozen=True)
class Looked:
    """A pair, as far as it could be read.

    Attributes:
        pair: whose files these are.
        reference: None if it cannot be read.
        prediction: None if it cannot be read, or is missing.
        errors: what is wrong with files that cannot be read.
        same: whether both files hold the same bytes.
    """

    pair: io.Pair
    reference: Seen | None
    prediction: Seen | None
    errors: tuple[str, ...] = ()
    same: bool = False


def look_at(pairs: Sequence[io.Pair], *, headers: bool = False) -> Iterator[Looked]:
    """Look at pair after pair, or at their headers alone; what is damaged does not stop it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")  # the settings of warnings are the process's
        for looked in read_ahead(pairs, lambda pair: _look(pair, headers)):
            told = [str(w.message) for w in said]
            sides = {
                side: _doubted(seen, told)
                for side in ("reference", "prediction")
                if (seen := getattr(looked, side)) is not None
            }
            yield replace(looked, **sides)


def _look(pair: io.Pair, headers: bool) -> Looked:
    found: dict[str, Seen] = {}
    errors: list[str] = []
    for side, path in (("reference", pair.reference), ("prediction", pair.prediction)):
        try:
            if path is not None:
                found[side] = Seen(path, io.read_header(path), ()) if headers else _see(path)
        except InputError as error:
            errors.append(str(error))
    r, p = found.get("reference"), found.get("prediction")
    same = r is not None and p is not None and r.path != p.path and not headers
    same = same and _same_bytes(pair.reference, pair.prediction or pair.reference)
    return Looked(pair, r, p, tuple(errors), same)


def _see(path: Path) -> Seen:
    volume = io.read_labels(path)
    labels = tuple(distinct(volume.array).tolist())
    nothing = io.blank(volume.array.shape, volume.array.dtype)
    return Seen(path, replace(volume, array=nothing), tuple(map(int, labels)))


def _same_bytes(first: Path, second: Path) -> bool:
    if not (first.is_file() and second.is_file()):
        return False
    return first.stat().st_size == second.stat().st_size and sha256(first) == sha256(second)


def _doubted(seen: Seen, told: Sequence[str]) -> Seen:
    """With what the warnings say of it."""
    about = [text for text in told if text.startswith(f"{io.shown(seen.path)}: labels ")]
    stored = next((t.split("stored as ")[1].split()[0] for t in about if "stored as" in t), "")
    scattered = next((t.split(": ", 1)[1] for t in about if "lie scattered" in t), "")
    return replace(seen, stored_as=stored, scattered=scattered)
