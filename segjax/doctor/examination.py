"""Examine the installation and two folders."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segjax import io
from segjax._errors import InputError
from segjax.doctor import mending
from segjax.doctor.contents import Contents
from segjax.doctor.environment import Environment, environment
from segjax.doctor.findings import Defect, Finding, grouped
from segjax.doctor.grids import check_grids
from segjax.doctor.looking import look_at


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found.

    Attributes:
        environment: what segjax runs on.
        layout: of the folders; empty if there are none, or they cannot be paired.
        cases: how many pairs were looked at.
        findings: worst first.
    """

    environment: Environment
    layout: str
    cases: int
    findings: Sequence[Finding]

    @property
    def is_clean(self) -> bool:
        """Whether nothing would stop scoring, or change what it gives."""
        return all(finding.severity == "note" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine(
    reference: str | Path | None = None,
    prediction: str | Path | None = None,
    *,
    headers: bool = False,
) -> Examination:
    """Look over the installation and, if they are given, two folders or files.

    Every file is read once, and none that is damaged stops the examination.

    Args:
        reference: what `segjax evaluate` would take as the reference, or a list of pairs.
        prediction: what it would judge.
        headers: look at the headers of files alone, which is quick, and not at their labels.

    Raises:
        InputError: if there is only one of them, or one is not there.
    """
    around = environment()
    defects = list(_of_devices(around))
    layout, cases = "", 0
    if reference is not None:
        given = _existing(reference, prediction)
        defects.extend(_duplicates(*given))
        try:
            pairing = io.pair(reference, prediction)
        except InputError as error:
            if not defects or defects[-1].kind != "duplicate names":
                defects.append(Defect("unpaired folders", "", *_said(error)))
        else:
            layout, cases = pairing.layout, len(pairing.pairs)
            defects.extend(_of_folders(given, pairing, headers))
    return Examination(environment=around, layout=layout, cases=cases, findings=grouped(defects))


def _of_devices(around: Environment) -> Iterator[Defect]:
    if around.idle:
        extra = "cuda12" if "nvidia" in around.idle else "all"
        detail = f"{around.idle} is there, and JAX sees {around.devices[0]}"
        yield Defect("unused device", "", detail, f'pip install "segjax[{extra}]"')


def _existing(*paths: str | Path | None) -> list[Path]:
    """The paths that are given; one is enough for a list of pairs."""
    given = [Path(path) for path in paths if path is not None]
    if len(given) == 1 and given[0].suffix.lower() not in (".csv", ".tsv"):
        raise InputError("give both the references and the predictions, or neither")
    for path in given:
        if not (path.exists() or io.is_pattern(path)):
            raise InputError(f"{io.shown(path)}: there is no such file or folder")
    return given


def _duplicates(*folders: Path) -> Iterator[Defect]:
    for folder in folders:
        if not folder.is_dir():
            continue
        for name, paths in io.duplicates(folder).items():
            several = " and ".join(path.name for path in paths)
            place = f"{folder}-aside"
            moved = shlex.join(["mv", str(paths[-1]), place])
            aside = f"{shlex.join(['mkdir', '-p', place])} && {moved}"
            yield Defect("duplicate names", name, f"{folder} has {several}; keep one", aside)


def _said(error: InputError) -> tuple[str, str]:
    """What is wrong, and how to mend it: the two halves of what such errors say."""
    what, _, mend = str(error).rpartition("; ")
    return (what, mend) if what else (mend, "see the message")


def _of_folders(given: Sequence[Path], pairing: io.Pairing, headers: bool) -> Iterator[Defect]:
    looked = list(look_at(pairing.pairs, headers=headers))
    for one in looked:
        for error in one.errors:
            yield Defect("unreadable", one.pair.name, *_said(InputError(error)))
        yield from check_grids(one, given)
    if not headers:
        yield from Contents(given, pairing, looked).defects()
    for name in pairing.only_reference if pairing.layout != "ctc" else ():
        detail = f"{name}: leaving out what a method failed on flatters it"
        command = mending.evaluate(given, "--missing-as-empty")
        yield Defect("missing predictions", name, detail, command)
    for name in pairing.only_prediction:
        yield Defect("spare predictions", name, name, shlex.join(["ls", str(given[0])]))
