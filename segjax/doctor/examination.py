"""Examine the installation and two folders."""

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
    reference: str | Path | None = None, prediction: str | Path | None = None
) -> Examination:
    """Look over the installation and, if they are given, two folders or files.

    Every file is read once, and none that is damaged stops the examination.

    Args:
        reference: what `segjax evaluate` would take as the reference.
        prediction: what it would judge.

    Raises:
        InputError: if there is only one of them, or one is not there.
    """
    around = environment()
    defects = list(_of_devices(around))
    layout, cases = "", 0
    if (reference is None) != (prediction is None):
        raise InputError("give both the references and the predictions, or neither")
    if reference is not None and prediction is not None:
        first, second = Path(reference), Path(prediction)
        for path in (first, second):
            if not path.exists():
                raise InputError(f"{io.shown(path)}: there is no such file or folder")
        defects.extend(_duplicates(first, second))
        try:
            pairing = io.pair(first, second)
        except InputError as error:
            if not defects or defects[-1].kind != "duplicate names":
                defects.append(Defect("unpaired folders", "", *_said(error)))
        else:
            layout, cases = pairing.layout, len(pairing.pairs)
            defects.extend(_of_folders(first, second, pairing))
    return Examination(environment=around, layout=layout, cases=cases, findings=grouped(defects))


def _of_devices(around: Environment) -> Iterator[Defect]:
    if around.idle:
        extra = "cuda12" if "nvidia" in around.idle else "all"
        detail = f"{around.idle} is there, and JAX sees {around.devices[0]}"
        yield Defect("unused device", "", detail, f'pip install "segjax[{extra}]"')


def _duplicates(*folders: Path) -> Iterator[Defect]:
    for folder in folders:
        if not folder.is_dir():
            continue
        for name, paths in io.duplicates(folder).items():
            several = " and ".join(path.name for path in paths)
            aside = f"mkdir -p {folder}-aside && mv {paths[-1]} {folder}-aside"
            yield Defect("duplicate names", name, f"{folder} has {several}; keep one", aside)


def _said(error: InputError) -> tuple[str, str]:
    """What is wrong, and how to mend it: the two halves of what such errors say."""
    what, _, mend = str(error).rpartition("; ")
    return (what, mend) if what else (mend, "see the message")


def _of_folders(reference: Path, prediction: Path, pairing: io.Pairing) -> Iterator[Defect]:
    looked = list(look_at(pairing.pairs))
    for one in looked:
        for error in one.errors:
            yield Defect("unreadable", one.pair.name, *_said(InputError(error)))
        yield from check_grids(one)
    yield from Contents(pairing, looked).defects()
    for name in pairing.only_reference if pairing.layout != "ctc" else ():
        detail = f"{name}: leaving out what a method failed on flatters it"
        command = mending.evaluate(reference, prediction, "--missing-as-empty")
        yield Defect("missing predictions", name, detail, command)
    for name in pairing.only_prediction:
        yield Defect("spare predictions", name, name, f"ls {reference}")
