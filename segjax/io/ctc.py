"""The folders of the Cell Tracking Challenge: NN_GT with SEG and TRA, beside NN_RES."""

import re
from pathlib import Path

from segjax.io._problem import problem
from segjax.io.pairing import Pair, Pairing, listing, natural


# man_seg012.tif is frame 12; man_seg_012_003.tif is plane 3 of it, in partly annotated 3-D.
_OUTLINES = re.compile(r"man_seg_?([0-9]{1,9})(?:_([0-9]{1,9}))?\.tiff?", re.I)
_MARKERS = re.compile(r"man_track([0-9]{1,9})\.tiff?", re.I)
_RESULT = re.compile(r"mask([0-9]{1,9})\.tiff?", re.I)
_IMAGE = re.compile(r"t([0-9]{1,9})\.tiff?", re.I)
_TRUTHS = {"SEG": _OUTLINES, "TRA": _MARKERS}

Frames = dict[tuple[int, int | None], Path]  # by the number of a frame, and of a plane of it


def pair(reference: Path, prediction: Path) -> Pairing | None:
    """Pair by frame number; None if the folders are not laid out like this.

    The cases are the frames (or planes of frames) of SEG, which is sparse: it may start at any
    frame and have gaps. The markers of TRA are those of every frame; without SEG its frames are
    the cases. So result masks without truth have no say, and a frame without a result mask is
    one in which nothing was found.

    Raises:
        InputError: if two files claim one frame, no truth has a result, or the folder of the
            results comes first.
    """
    outlines, markers = (_truth(reference, kind) for kind in _TRUTHS)
    if not outlines and not markers:
        _check_order(reference, prediction)
        return None
    masks = _numbered(prediction, _RESULT)
    if not masks and not _is_named_so(reference):
        return None
    pairs = _pairs(outlines, masks)
    detections = _pairs(markers, masks)
    missing = {p.name for p in (*pairs, *detections) if p.prediction is None}
    only_reference = tuple(sorted(missing, key=natural))
    if all(p.prediction is None for p in (*pairs, *detections)):
        frames = {p.frame for p in (*pairs, *detections)}
        raise problem(
            prediction,
            f"holds no mask of the {len(frames)} annotated frames "
            f"(the first is {only_reference[0]})",
            "name result masks maskTTT.tif by frame, as the Cell Tracking Challenge does",
        )
    return Pairing(
        "ctc",
        pairs or detections,
        only_reference,
        markers=detections if pairs else (),
        outlined=bool(pairs),
    )


def pair_images(images: Path, results: Path) -> Pairing | None:
    """Pair frames tTTT.tif with results maskTTT.tif; None if there are no two of one number.

    Of each pair, the reference is the image, after which the case is named.

    Raises:
        InputError: if two files claim one frame.
    """
    frames, masks = _numbered(images, _IMAGE), _numbered(results, _RESULT)
    both = sorted(frames.keys() & masks.keys())
    if not both:
        return None
    pairs = tuple(Pair(frames[k].stem, frames[k], masks[k], frame=k[0]) for k in both)
    alone = lambda these, others: tuple(these[k].stem for k in sorted(these.keys() - others.keys()))
    return Pairing("ctc", pairs, alone(frames, masks), alone(masks, frames))


def _truth(folder: Path, kind: str) -> Frames:
    found = _numbered(folder, _TRUTHS[kind])
    inside = folder / kind
    if not found and inside.is_dir():
        found = _numbered(inside, _TRUTHS[kind])
    for frame, plane in found:
        if plane is not None and (frame, None) in found:
            whole, part = found[frame, None].name, found[frame, plane].name
            raise problem(folder, f"{whole} is the whole frame of {part}", "keep one of them")
    return found


def _is_named_so(folder: Path) -> bool:
    return folder.name in _TRUTHS or any((folder / kind).is_dir() for kind in _TRUTHS)


def _check_order(reference: Path, prediction: Path) -> None:
    """Results that come first are told from truth by their names."""
    first = next((p.name for p in listing(reference) if _RESULT.fullmatch(p.name)), None)
    if first is None or not any(_truth(prediction, kind) for kind in _TRUTHS):
        return
    what = f"holds results ({first}), and {prediction} the truth"
    raise problem(reference, what, f"give the truth first: {prediction} {reference}")


def _pairs(truths: Frames, masks: Frames) -> tuple[Pair, ...]:
    found = (
        Pair(_name(path), path, masks.get((frame, None)), slice=plane, frame=frame)
        for (frame, plane), path in truths.items()
    )
    return tuple(sorted(found, key=lambda pair: natural(pair.name)))


def _numbered(folder: Path, pattern: re.Pattern[str]) -> Frames:
    found: Frames = {}
    for path in listing(folder):
        match = pattern.fullmatch(path.name)
        if match is None:
            continue
        frame, *planes = match.groups()
        number = int(frame), int(planes[0]) if planes and planes[0] else None
        if number in found:
            what = f"{found[number].name} and {path.name} are the same frame"
            raise problem(folder, what, "keep one of them")
        found[number] = path
    return found


def _name(truth: Path) -> str:
    match = _OUTLINES.fullmatch(truth.name) or _MARKERS.fullmatch(truth.name)
    assert match is not None
    frame, *planes = match.groups()
    return f"t{frame}_z{planes[0]}" if planes and planes[0] else f"t{frame}"
