"""What is known about a metric, and how it is found by name."""

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from segjax._errors import InputError
from segjax._numerics import defined_mean, namespace, ratio
from segjax.statistics import Confusion, InstanceSurfaces, SurfaceDistances, pooled


Option = float | int | str | bool
AVERAGES = ("macro", "micro", "weighted")
UNMATCHED = ("diagonal", "omit")
SIZES = {"min_size": 0, "max_size": float("inf")}
_OPERATOR = re.compile(r" [-+/x] |\||-log\(|\bsum |\bmax over |\b(?:max|sqrt|exp)\(")


def sentences(text: str) -> list[str]:
    """The sentences of a docstring, each on one line.

    Example:
        >>> sentences("1 - TP / n. Undefined without voxels.")
        ['1 - TP / n', 'Undefined without voxels']
    """
    found = re.split(r"\.\)?(?:\s+|$)", " ".join(text.split()))
    return [sentence for sentence in found if sentence]


class Documented:
    """What the docstring of a catalogued function says about it."""

    function: Callable[..., Any]

    @property
    def title(self) -> str:
        """First line of the docstring: what a table's heading or a glossary prints."""
        return self.definition.partition("\n")[0].rstrip(".")

    @property
    def definition(self) -> str:
        """The docstring up to its sections: formula, and what is undefined."""
        text = inspect.getdoc(self.function) or self.function.__name__
        return re.split(r"\n\n(?:Args|Returns|Raises|Example|References):\n", text)[0]

    @property
    def formula(self) -> str:
        """What the title says behind its colon or, if that is words, the first formula below it."""
        title, _, text = self.definition.partition("\n\n")
        behind = " ".join(title.split()).partition(": ")[2].rstrip(".")
        candidates = [behind, *sentences(text)]
        found = next((c for c in candidates if _OPERATOR.search(c)), behind or self.title)
        return found.partition(": ")[0]

    @property
    def source(self) -> str:
        """The paper the definition is from."""
        _, _, source = (inspect.getdoc(self.function) or "").partition("References:\n")
        return " ".join(source.split())


@dataclass(frozen=True, kw_only=True)
class Metric(Documented):
    """A pure function of one sufficient statistic, and what is known about it.

    `best` and `worst` say at once the range, the direction, and what a missing prediction
    is worth in a ranking.

    Attributes:
        function: maps the statistic to scores; NaN means "undefined for this case".
        statistic: the type the function takes.
        best: value of a perfect prediction; None for counts, which have no direction.
        worst: value of a useless one; may be infinite.
        chance: value of a prediction that knows nothing, where that is better than the
            worst; an empty prediction gets it where its score is 0/0.
        aliases: other names in use, spelled as their authors spell them.
        unit: "voxel", "object", "bit", "nat", "length" (the unit of spacing), "volume"; empty
            for ratios.
        per: "label" if there is one score per label, "image" if there is one per image.
        signed: judged by its magnitude.
        of_objects: of a `Contingency` read as objects: they may be restricted by size, and
            those of several images pooled.
        options: keyword arguments of the function, e.g. a tolerance.
    """

    function: Callable[..., Any]
    statistic: type
    best: float | None
    worst: float | None
    chance: float | None = None
    aliases: tuple[str, ...] = ()
    unit: str = ""
    per: Literal["label", "image"] = "label"
    signed: bool = False
    of_objects: bool = False
    options: tuple[tuple[str, Option], ...] = ()

    @property
    def name(self) -> str:
        options = ", ".join(_written(k, v) for k, v in self.options)
        return self.function.__name__ + (f"({options})" if options else "")

    @property
    def higher_is_better(self) -> bool | None:
        if self.best is None or self.worst is None:
            return None
        return self.best > self.worst

    @property
    def missed(self) -> float | None:
        """What an empty prediction of something present is worth where the formula is 0/0."""
        return self.worst if self.chance is None else self.chance

    def __call__(self, statistic: Any, **geometry: Any) -> Any:
        options = dict(self.options)
        average, unmatched = options.pop("average", None), options.pop("unmatched", None)
        if self.of_objects and options.keys() & SIZES.keys():
            statistic = statistic.of_sizes(*(options.pop(k, v) for k, v in SIZES.items()))
        score = lambda s: self.function(s, **options, **self.geometry_of(geometry))
        if unmatched is not None:
            unfit = None
            if unmatched == "diagonal":
                unfit = statistic.diagonal if self.worst == float("inf") else self.worst
            return _over_objects(score(statistic), statistic, unfit)
        if average is None:
            return score(statistic)
        if average == "micro":
            return score(pooled(statistic))
        if average == "macro":
            return defined_mean(score(statistic))
        return _weighted(score(statistic), statistic)

    def geometry_of(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """What the function asks of the case beside the statistic, e.g. the voxel volume."""
        asked = _parameters(self.function)
        return {k: v for k, v in known.items() if k in asked}

    @property
    def option_names(self) -> tuple[str, ...]:
        parameters = _parameters(self.function).values()
        own = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "voxel_volume"]
        if self.statistic is SurfaceDistances or "unmatched" in dict(self.options):
            return (*own, "unmatched")
        if self.of_objects:
            return (*own, *SIZES)
        averaged = self.per == "label" or "average" in dict(self.options)
        return (*own, *(["average"] if averaged and self.statistic is Confusion else []))

    @property
    def option_texts(self) -> tuple[str, ...]:
        """Its options as they are written, with the values they have."""
        own = {k: p.default for k, p in _parameters(self.function).items()} | dict(self.options)
        return tuple(_written(k, own[k]) if k in own else k for k in self.option_names)

    def at(self, **options: Option) -> "Metric":
        """Return this metric with other values for its options.

        `average="macro" | "micro" | "weighted"` is an option of every overlap metric: the
        mean over the labels that are defined, the score of the pooled counts, or the mean
        weighted by the size of the label in the reference.

        `unmatched="diagonal" | "omit"` is one of every metric of surface distances: labels are
        then objects, and the score is the mean over the objects of the reference, each against
        the predicted one that covers more than half of it (SEG's rule). One without such counts
        as the diagonal of the image (the worst value of scores that have bounds), or not.

        `min_size=` and `max_size=` are options of every metric of objects: those of the
        reference smaller than the one, or not smaller than the other, in voxels, become
        background, and so do the predicted ones that belong to them; see
        `Contingency.of_sizes`.

        Raises:
            InputError: if the function has no such option, or the option no such value.
        """
        known = self.option_names
        if unknown := sorted(options.keys() - set(known)):
            raise InputError(
                f"{self.name} has no option {unknown[0]!r}; it has {', '.join(known) or 'none'}"
            )
        if options.get("average", "macro") not in AVERAGES:
            raise InputError(f"average must be one of {', '.join(AVERAGES)}")
        if options.get("unmatched", "omit") not in UNMATCHED:
            raise InputError(f"unmatched must be one of {', '.join(UNMATCHED)}")
        defaults = {k: p.default for k, p in _parameters(self.function).items()} | SIZES
        for name, value in options.items():
            default = defaults.get(name, "")
            if isinstance(value, str) and not isinstance(default, str):
                kind = "True or False" if isinstance(default, bool) else "a number"
                raise InputError(f"{name} of {self.name} must be {kind}, got {value!r}")
        merged = dict(self.options) | options
        limits = {**SIZES, **merged}
        least, most = (float(limits[k]) for k in SIZES)
        if not 0 <= least < most:
            raise InputError(f"min_size must be less than max_size, got {least:g} and {most:g}")
        per = "image" if merged.keys() & {"average", "unmatched"} else self.per
        statistic = InstanceSurfaces if "unmatched" in merged else self.statistic
        return replace(self, options=tuple(sorted(merged.items())), per=per, statistic=statistic)


@cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _number(value: Option) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _written(key: str, value: Option) -> str:
    return f"{key}={value:g}" if _number(value) else f"{key}={value}"


def _weighted(scores: Any, counts: Confusion) -> Any:
    xp, weight = namespace(scores), counts.reference_size
    # A label absent from the reference has no weight: its undefined score must not spread.
    return ratio(xp.where(weight > 0, weight * scores, 0).sum(-1), weight.sum(-1))


def _over_objects(scores: Any, objects: InstanceSurfaces, unfit: float | None) -> Any:
    """Mean over the objects, those without a match counting as `unfit` (None: not at all)."""
    xp = namespace(scores)
    scores = xp.where(objects.matched, scores, xp.nan if unfit is None else unfit)
    return defined_mean(xp.where(objects.there, scores, xp.nan))


def _key(name: str) -> str:
    return "".join(c for c in name.casefold().replace("+", "plus") if c.isalnum())


def index(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Map every name and alias to its metric.

    Raises:
        ValueError: if two metrics claim the same name.
    """
    found: dict[str, Metric] = {}
    for metric in metrics:
        for name in dict.fromkeys(map(_key, (metric.name, *metric.aliases))):
            if name in found:
                raise ValueError(f"{metric.name} and {found[name].name} are both called {name!r}")
            found[name] = metric
    return found


def composed(names: Mapping[str, str], known: Mapping[str, Metric]) -> dict[str, Metric]:
    """Map names that stand for a metric with its options, e.g. HD95.

    Raises:
        ValueError: if a metric has the name already.
    """
    found = {_key(name): resolve(text, known) for name, text in names.items()}
    if taken := found.keys() & known.keys():
        raise ValueError(f"{sorted(taken)[0]} is the name of a metric already")
    return found


_AT = re.compile(r"(?P<name>.+?)\s*@\s*(?P<length>[0-9.eE+-]+)\s*(?P<unit>mm|um|µm|nm|px)?\s*")


def length_unit(text: str) -> str | None:
    """The unit in which a metric's length is given, as in "nsd@2mm"; None if it is not.

    Example:
        >>> length_unit("nsd@2 mm"), length_unit("nsd@2"), length_unit("dice")
        ('mm', None, None)
    """
    at = _AT.fullmatch(text)
    return None if at is None or at["unit"] is None else at["unit"].replace("µ", "u")


def resolve(text: str, known: Mapping[str, Metric]) -> Metric:
    """Find a metric by any of its names, whatever the case and punctuation.

    Args:
        text: a name or alias, with options in brackets if need be: what `Metric.name`
            prints can be read back, e.g. "f_beta(beta=2)" or "dice(average=macro)".
        known: the catalogue, from `index`.

    Raises:
        InputError: if no metric has that name (the message offers the nearest ones), or it
            has no such option.
    """
    if (at := _AT.fullmatch(text)) is not None:
        text = f"{at['name']}(tolerance={at['length']})"
    name, bracket, options = text.strip().partition("(")
    metric = known.get(_key(name))
    if whole := known.get(_key(text)):  # "Jaccard Index (sparse)"
        return whole
    if metric is None:
        near = difflib.get_close_matches(_key(name), known, n=3)
        meant = dict.fromkeys(known[k].name for k in near)
        hint = f"; did you mean {' or '.join(meant)}?" if near else ""
        raise InputError(f"unknown metric {name.strip()!r}{hint}")
    if not bracket:
        return metric
    if not options.endswith(")"):
        raise InputError(f"metric {text.strip()!r} has no closing bracket")
    return metric.at(
        **dict(_option(part, text) for part in options[:-1].split(",") if part.strip())
    )


def _option(part: str, text: str) -> tuple[str, Option]:
    key, equals, value = (x.strip() for x in part.partition("="))
    if not equals or not key.isidentifier() or not value:
        raise InputError(f"options of a metric are written name=value, got {text.strip()!r}")
    if value in ("True", "False"):
        return key, value == "True"
    try:
        return key, float(value)
    except ValueError:
        return key, value.strip("'\"")
