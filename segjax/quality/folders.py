"""From a folder of images and one of segmentations to predicted scores and a page."""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from segjax import io
from segjax._compiling import keep_compiled
from segjax._errors import InputError
from segjax._version import __version__
from segjax.folder.journals import open_journal
from segjax.folder.reading import doubts_noted, read_ahead, sha256, summed_up
from segjax.folder.refusals import Refusals, attempt
from segjax.quality.assessments import Assessments, is_higher_better
from segjax.quality.journal import entries_by_case, entry_of, recalled
from segjax.quality.pairs import pair_images
from segjax.quality.predict import (
    ERRORS,
    OVERLAP,
    Assessment,
    assess,
    calibrated,
    find_weights,
    outputs_of,
)
from segjax.quality.truth import annotated, calibrate_on
from segjax.quality.weights import Assessor, fingerprint
from segjax.quality.writing import document_of, write
from segjax.report.overlay import Picture
from segjax.report.triage import doubt_picture
from segjax.table import jsonable


PICTURES = 50
_SIMULATED = (
    "Intervals are calibrated on simulated images. On others they may hold less often than they "
    "say: annotate some images and give them as calibrate (--calibrate)."
)
_SIZED = (
    "Images are scaled by the sizes of the segmented objects. To compare methods, or if these are "
    "merged or in pieces, give the diameter (--diameter)."
)
_UNCALIBRATED = "The weights are not calibrated: intervals are all that the metric allows."


@dataclass(frozen=True, kw_only=True)
class Options:
    """What decides the predicted scores; see `segjax.assess`."""

    diameter: float | None = None
    spacing: Sequence[float] | float | None = None
    channel: int | str | None = None
    relabel: bool = False
    coverage: float = 0.9
    averaging: int = 4
    overlap: float = OVERLAP
    per_object: bool = False


class Report(NamedTuple):
    """What `run` returns.

    Attributes:
        assessments: of all images.
        files: what was written, by kind: "scores", "summary", "triage", and "objects" if single
            objects were scored.
        reused: cases taken from an earlier run.
    """

    assessments: Assessments
    files: dict[str, Path]
    reused: int


def assess_folder(
    images: str | Path,
    labels: str | Path,
    metric: str | Iterable[str] = "SEG",
    *,
    output: str | Path | None = None,
    resume: bool = False,
    weights: str | os.PathLike[str] | Assessor | None = None,
    calibrate: str | Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    **options: Any,
) -> Assessments:
    """Predict the scores of a folder of segmentations, or of one file.

    Args:
        images: what was segmented.
        labels: the segmentations, paired by name.
        metric: one or several of the network's outputs; the first orders the page.
        output: folder for `scores.csv`, `summary.json`, the page `triage.html`, the journal
            `cases.jsonl`, and `objects.csv` if single objects are scored.
        resume: take from the journal in `output` what is there already.
        weights: a name, a file, or loaded ones; None for those that suit the images.
        calibrate: folder with the truth of some of the images, by which scores are corrected and
            intervals made; an interval of 90 % takes 9 or more.
        progress: called with (cases done, cases, name) after each case.
        **options: see `Options`.

    Raises:
        InputError: if an image cannot be assessed; the message names the file. With `output`, all
            others are assessed first, and stay in the journal.
    """
    return run(
        images,
        labels,
        metric,
        Options(**options),
        output=output,
        resume=resume,
        weights=weights,
        calibrate=calibrate,
        progress=progress,
    ).assessments


def run(
    images: str | Path,
    labels: str | Path,
    metric: str | Iterable[str],
    options: Options,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    weights: str | os.PathLike[str] | Assessor | None = None,
    calibrate: str | Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    command: str = "",
) -> Report:
    """Do what `assess_folder` says, and return all that there is."""
    if resume and output is None:
        raise InputError("there is nothing to resume without an output folder; pass --output")
    keep_compiled()
    pairing = pair_images(Path(images), Path(labels))
    segmented = {p.name: p.prediction for p in pairing.pairs if p.prediction is not None}
    known = {} if calibrate is None else annotated(Path(calibrate), segmented)
    first = io.read_labels(next(iter(segmented.values())))
    assessor = find_weights(weights, first.array.ndim)
    names = outputs_of(assessor, [metric] if isinstance(metric, str) else metric)
    work = _Work(assessor, names, options, pictured=output is not None)
    journal = None if output is None else open_journal(Path(output), resume)
    try:
        with doubts_noted() as doubts:
            found, reused = work.do(pairing.pairs, journal, progress)
    except KeyboardInterrupt:
        kept = "run again with --resume to finish" if journal else "pass --output to keep what is"
        raise InputError(f"stopped before the last image; {kept}") from None
    finally:
        if journal is not None:
            journal.close()
    calibrations, notes = assessor.calibrations, [*summed_up(doubts)]
    if known:
        learned = calibrate_on(known, segmented, found, calibrations)
        calibrations = learned.by_metric
        notes += learned.notes
    else:
        notes.append(_SIMULATED if calibrations else _UNCALIBRATED)
    if options.diameter is None:
        notes.append(_SIZED)
    final = [calibrated(a, calibrations) for a in found.values()]
    table = Assessments(tuple(found), tuple(final), tuple(notes))
    files: dict[str, Path] = {}
    if output is not None:
        document = document_of(
            table, assessor, vars(options), pairing, Path(labels), command, len(known)
        )
        chosen = [table.cases[i] for i in table.worst_first()[:PICTURES]]
        files = write(Path(output), table, document, work.pictures_of(pairing.pairs, chosen))
    return Report(table, files, reused)


class _Work:
    """Assess pair after pair, drawing the worst as they come."""

    def __init__(
        self, assessor: Assessor, names: tuple[str, ...], options: Options, *, pictured: bool
    ):
        self.assessor, self.names, self.options, self.pictured = assessor, names, options, pictured
        self.mapped = set(ERRORS) <= set(assessor.network.maps)
        self._pictures: dict[str, tuple[float, Picture]] = {}
        self._run = {
            "segjax": __version__,
            "weights": fingerprint(assessor),
            "metrics": list(names),
            **{k: v for k, v in jsonable(vars(options)).items() if k != "coverage"},
        }

    def do(
        self,
        pairs: Sequence[io.Pair],
        journal: io.Journal | None,
        progress: Callable[[int, int, str], None] | None,
    ) -> tuple[dict[str, Assessment], int]:
        """Assessments by case, not calibrated, and how many are from the journal.

        Raises:
            InputError: if images cannot be assessed. With a journal, that is told when the others
                are in it; without one, at the first.
        """
        earlier = entries_by_case(journal, self._run)
        found: dict[str, Assessment] = {}
        reused = 0
        refused = Refusals(kept=journal is not None)
        read = lambda pair: attempt(lambda: _read(pair, earlier))
        for i, (pair, loaded) in enumerate(zip(pairs, read_ahead(pairs, read), strict=True)):
            name = pair.name
            if isinstance(loaded, _Loaded):
                hashes = loaded.hashes
                loaded = attempt(partial(self._assess, loaded))
                if journal is not None and isinstance(loaded, Assessment):
                    journal.append(entry_of(name, hashes, loaded, self._run, self._picture(name)))
            elif isinstance(loaded, dict):
                entry, loaded = loaded, recalled(loaded, self.options.coverage)
                if entry["picture"] is not None:
                    self._keep(name, loaded, Picture(**entry["picture"]))
                reused += 1
            if isinstance(loaded, InputError):
                refused.add(name, loaded)
                continue
            found[name] = loaded
            if progress is not None:
                progress(i + 1, len(pairs), name)
        refused.tell()
        return found, reused

    def pictures_of(self, pairs: Sequence[io.Pair], cases: Sequence[str]) -> dict[str, Picture]:
        """Pictures of some cases; those that were not drawn while assessing are drawn now."""
        by_name = {pair.name: pair for pair in pairs}
        for case in cases:
            if case not in self._pictures:
                self._assess(_load(by_name[case]), again=True)
        return {case: self._pictures[case][1] for case in cases}

    def _assess(self, loaded: "_Loaded", *, again: bool = False) -> Assessment:
        """Assess a pair, and draw it if it is among the worst so far, or is looked at again."""
        options = vars(self.options) | ({"per_object": False} if again else {})
        try:
            assessment = assess(
                loaded.image.array,
                loaded.labels.array,
                self.names,
                weights=self.assessor,
                calibration={},
                error_map=self.pictured and self.mapped,
                **options,
            )
        except InputError as error:
            raise InputError(f"{loaded.pair.prediction}: {error}") from None
        if self.pictured and (again or self._badness(assessment) > self._least()):
            errors = assessment.error_map or {}
            missed, extra = (errors.get(name) for name in ERRORS)
            seen = doubt_picture(
                loaded.image.array, loaded.labels.array, missed=missed, extra=extra
            )
            self._keep(loaded.pair.name, assessment, seen, always=again)
        return replace(assessment, error_map=None, tiles=None)

    def _keep(
        self, case: str, assessment: Assessment, picture: Picture, *, always: bool = False
    ) -> None:
        """Keep the picture of an image, and let that of the best go if there are enough."""
        self._pictures[case] = self._badness(assessment), picture
        if not always and len(self._pictures) > PICTURES:
            del self._pictures[min(self._pictures, key=lambda name: self._pictures[name][0])]

    def _picture(self, case: str) -> Picture | None:
        return self._pictures[case][1] if case in self._pictures else None

    def _least(self) -> float:
        """How bad an image has to be for its picture to be kept."""
        full = len(self._pictures) >= PICTURES
        return min(bad for bad, _ in self._pictures.values()) if full else -math.inf

    def _badness(self, assessment: Assessment) -> float:
        raw = assessment.raw[self.names[0]]
        if math.isnan(raw):
            return -1e30  # at the end, as in the table
        return -raw if is_higher_better(self.names[0]) else raw


class _Loaded(NamedTuple):
    pair: io.Pair
    image: io.Volume
    labels: io.Volume
    hashes: tuple[str, str]


def _read(pair: io.Pair, earlier: Mapping[str, dict[str, Any]]) -> "_Loaded | dict[str, Any]":
    """Both files, or the entry of an earlier run if they hold the same still."""
    entry = earlier.get(pair.name)
    if entry is not None and entry["sha256"] == list(_hashes(pair)):
        return entry
    return _load(pair)


def _load(pair: io.Pair) -> _Loaded:
    labels = io.read_labels(_segmentation(pair))
    return _Loaded(pair, io.read_image(pair.reference), labels, _hashes(pair))


def _hashes(pair: io.Pair) -> tuple[str, str]:
    return sha256(pair.reference), sha256(_segmentation(pair))


def _segmentation(pair: io.Pair) -> Path:
    assert pair.prediction is not None, "images are only paired with files"
    return pair.prediction
