"""Whether the labels of two folders mean the same."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from segjax import io
from segjax.doctor import mending
from segjax.doctor.findings import Defect
from segjax.doctor.looking import Looked, Seen
from segjax.folder.plan import MANY_LABELS


_OBJECT_METRICS = "seg,pq,f1,dice"


class Contents:
    """Labels of all cases, and the commands that concern both folders."""

    def __init__(self, given: Sequence[Path], pairing: io.Pairing, looked: Sequence[Looked]):
        self._given = given
        self._pairing = pairing
        self._looked = looked
        self._whole = [
            (k, k.reference, k.prediction) for k in looked if k.reference and k.prediction
        ]
        nothing = {0, pairing.ignore}
        self._reference = _union(r for _, r, _ in self._whole) - nothing
        self._prediction = _union(p for _, _, p in self._whole) - nothing

    def defects(self) -> Iterator[Defect]:
        """All that is to be said of labels."""
        if not self._whole:
            return
        yield from self._of_files()
        as_objects = self._are_objects()
        if as_objects:
            yield from self._of_objects()
        else:
            yield from self._of_classes()
        yield from self._of_nothing()

    def _command(self, *options: str) -> str:
        return mending.evaluate(self._given, *options)

    def _of_files(self) -> Iterator[Defect]:
        for looked, *sides in self._whole:
            name = looked.pair.name
            for seen in sides:
                if seen.stored_as:
                    detail = f"{seen.path}: {seen.stored_as}, read as integers"
                    yield Defect("float labels", name, detail, mending.as_integers(seen.path))
                if seen.scattered:
                    detail = f"{seen.path}: {seen.scattered}"
                    yield Defect("intensities", name, detail, "give the folder of label maps")
            if looked.same:
                detail = f"{looked.pair.prediction}: a copy of its reference scores perfectly"
                yield Defect(
                    "same file", name, detail, "check that predictions are those of a model"
                )

    def _are_objects(self) -> bool:
        """As the evaluation sees it: by the first reference, unless labels have names."""
        if self._pairing.layout == "ctc":
            return True
        first = self._whole[0][1]
        named = self._pairing.label_names or self._pairing.regions
        return not named and _count(first) > MANY_LABELS

    def _of_objects(self) -> Iterator[Defect]:
        if self._pairing.layout != "ctc":
            looked, first, _ = self._whole[0]
            detail = f"{first.path} has {_count(first)} labels; overlap is that of the foreground"
            command = self._command("-m", _OBJECT_METRICS)
            yield Defect("objects", looked.pair.name, detail, command)
        for looked, r, p in self._whole:
            if _count(r) > 1 and _count(p) == 1:
                detail = f"{p.path} has one label, {r.path} {_count(r)}"
                command = self._command("--relabel")
                yield Defect("merged objects", looked.pair.name, detail, command)

    def _of_classes(self) -> Iterator[Defect]:
        whole = self._whole
        nothing = {0, self._pairing.ignore}
        parts = {k for region in self._pairing.regions.values() for k in region}
        names = sorted({*self._pairing.label_names, *parts} - nothing)
        if names:
            known = {*names, *nothing}
            for looked, *sides in whole:
                for seen in sides:
                    if odd := sorted(set(seen.labels) - known):
                        detail = f"{seen.path} has {_listed(odd)}; named are {_listed(names)}"
                        command = self._command("--labels", ",".join(map(str, names)))
                        yield Defect("unlisted labels", looked.pair.name, detail, command)
            return
        many = [(k, s) for k, *sides in whole for s in sides if _count(s) > MANY_LABELS]
        for looked, seen in many:
            detail = f"{seen.path} has {_count(seen)} labels; classes are {MANY_LABELS} at most"
            command = self._command("--labels", "foreground", "-m", _OBJECT_METRICS)
            yield Defect("too many labels", looked.pair.name, detail, command)
        if many:
            return
        if self._number_objects():
            detail = f"labels are 1 to n, and n is {self._counts()} by the reference"
            command = self._command("--labels", "foreground", "-m", _OBJECT_METRICS)
            yield Defect("objects as classes", "", detail, command)
            return
        yield from self._of_values()

    def _of_values(self) -> Iterator[Defect]:
        """One label may have different numbers on the two sides."""
        only_r = sorted(self._reference - self._prediction)
        only_p = sorted(self._prediction - self._reference)
        if len(self._reference) == len(self._prediction) == len(only_r) == 1:
            detail = f"references hold {only_r[0]}, predictions {only_p[0]}"
            yield Defect("mask values", "", detail, self._command("--labels", "foreground"))
            return
        if only_p:
            wanted = ",".join(map(str, sorted(self._reference)))
            command = self._command("--labels", wanted) if wanted else "check the references"
            for looked, _, p in self._whole:
                if odd := sorted(set(p.labels) & set(only_p)):
                    detail = f"{p.path} has {_listed(odd)}"
                    yield Defect("unexpected labels", looked.pair.name, detail, command)
        if only_r and self._prediction:
            detail = f"{_listed(only_r)}; they count as missed wherever they are"
            wanted = ",".join(map(str, sorted(self._reference & self._prediction))) or "foreground"
            yield Defect("never predicted", "", detail, self._command("--labels", wanted))

    def _of_nothing(self) -> Iterator[Defect]:
        for looked, r, p in self._whole:
            name = looked.pair.name
            if not _count(r):
                detail = f"{r.path}: 0/0 is left out of means, and counted"
                yield Defect("empty reference", name, detail, self._command("--undefined", "best"))
            elif not _count(p):
                detail = f"{p.path}: counts as missed"
                yield Defect("empty prediction", name, detail, self._command("--missing", "worst"))

    def _number_objects(self) -> bool:
        """Labels 1 to n with another n from case to case: numbers of objects, not of classes."""
        counts = [_count(r) for _, r, _ in self._whole]
        numbered = all(
            set(r.labels) - {0} == set(range(1, _count(r) + 1)) for _, r, _ in self._whole
        )
        return numbered and len(set(counts)) >= 3 and max(counts) >= 5

    def _counts(self) -> str:
        return ", ".join(str(_count(r)) for _, r, _ in self._whole[:5])


def _union(seen: Iterable[Seen]) -> set[int]:
    return {label for one in seen for label in one.labels}


def _count(seen: Seen) -> int:
    return len(seen.labels) - (0 in seen.labels)


def _listed(labels: Sequence[int]) -> str:
    some = ", ".join(map(str, labels[:8])) + (" ..." if len(labels) > 8 else "")
    return f"label{'s' * (len(labels) > 1)} {some}"
