"""One file that says what a leaderboard is made of."""

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from segjax.io._problem import problem, reason
from segjax.io._text import MAX_BYTES, MAX_YAML, read_text
from segjax.io.scores import read_metadata, read_scores
from segjax.io.sheet import Facts
from segjax.leaderboard import policy
from segjax.leaderboard.intervals import METHODS
from segjax.leaderboard.measures import Declared, quoted
from segjax.leaderboard.options import VERDICTS, Options
from segjax.leaderboard.policy import Suspect
from segjax.leaderboard.scores import Scores, gather_scores
from segjax.leaderboard.slices import Slice


@dataclass(frozen=True)
class Entry:
    """A model of the board.

    Attributes:
        name: None if its scores say so.
        scores: file or folder of its scores; None if `Config.scores` holds them.
        facts: what is known about it.
    """

    name: str | None
    scores: Path | None
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """What a leaderboard is made of; every field is a key of the file.

    Attributes:
        title: of the page.
        dataset: its name, url, license and citation.
        models: what is compared.
        scores: one file with the scores of all models.
        metrics: which, in this order; None for all that can be ranked.
        declared: what the file says of metrics, by name.
        labels: which, in this order; None for all.
        metadata: file with what is known of the cases.
    """

    title: str = ""
    dataset: Mapping[str, str] = field(default_factory=dict)
    models: tuple[Entry, ...] = ()
    scores: Path | None = None
    metrics: tuple[str, ...] | None = None
    declared: Mapping[str, Declared] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    metadata: Path | None = None


def read_config(path: str | Path) -> Config:
    """Read a configuration.

    Args:
        path: .yaml, .yml or .toml; paths within it are relative to its folder.

    Raises:
        InputError: if the file cannot be read, or a key is unknown or its value not what is
            expected.
    """
    path = Path(path)
    found = _parse(path)
    if not isinstance(found, Mapping):
        raise problem(path, "is no table of settings", "write key: value lines")
    root = _Node(path, "", found)
    root.check_keys(_KEYS)
    said = {key: read(root.of(key)) for key, read in _KEYS.items() if found.get(key) is not None}
    metrics = said.pop("metrics", None)
    if metrics is not None:
        said["metrics"], said["declared"] = metrics
    config = Config(**said)
    if not config.models and config.scores is None:
        raise problem(path, "names no scores", "give models, or scores of all models in one file")
    if config.scores is None:
        for entry in config.models:
            if entry.scores is None:
                what = f"models: {quoted(entry.name)} has no scores"
                raise problem(path, what, "give it scores: a file or folder")
    return config


def read_all(config: Config) -> Scores:
    """Read all scores that a configuration names.

    Raises:
        InputError: if they cannot be read, or cannot be compared.
    """
    declared = config.declared
    sheets = [] if config.scores is None else [read_scores(config.scores, metrics=declared)]
    sheets += [
        read_scores(entry.scores, model=entry.name, metrics=declared)
        for entry in config.models
        if entry.scores is not None
    ]
    return gather_scores(
        sheets,
        metrics=config.metrics,
        labels=config.labels,
        declared=declared,
        facts={e.name: e.facts for e in config.models if e.name is not None},
        dataset=config.dataset,
        metadata=None if config.metadata is None else read_metadata(config.metadata),
    )


# Files.


def _parse(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".toml"):
        raise problem(path, "is no configuration", "give a .yaml or .toml")
    text = read_text(path, MAX_BYTES if suffix == ".toml" else MAX_YAML)
    if suffix == ".toml":
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise problem(path, f"is no valid TOML ({reason(error)})", "correct it") from error
    return _parse_yaml(path, text)


def _parse_yaml(path: Path, text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses what is silently lost, or grows: keys that are there twice, and aliases."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("it uses an alias (*)")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) < len(keys):
                twice = next(key for key, count in Counter(keys).items() if count > 1)
                raise ValueError(f"it has {twice[:60]!r} twice")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    # The parser itself fails on malformed numbers and dates.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise problem(path, f"is no valid YAML ({reason(error)})", "correct it") from error
    except (RecursionError, AttributeError) as error:
        raise problem(path, "is no YAML that can be read", "write it more plainly") from error


# Values.


@dataclass(frozen=True)
class _Node:
    """A value of the file, and where it is."""

    path: Path
    where: str
    value: Any

    def of(self, key: Any) -> "_Node":
        name = quoted(key)[1:-1]
        at = f"{self.where}[{key}]" if isinstance(key, int) else f"{self.where}.{name}"
        return _Node(self.path, at.lstrip("."), self.value[key])

    def wrong(self, expected: str, mend: str = "correct it") -> Exception:
        got = "nothing" if self.value is None else quoted(self.value)
        kind = type(self.value).__name__
        return problem(self.path, f"{self.where} must be {expected}, got {got} ({kind})", mend)

    def check_keys(self, known: Iterable[str]) -> None:
        names = list(known)
        for key in self.value:
            if key not in names:
                near = difflib.get_close_matches(str(key)[:60], names, n=1, cutoff=0.4)
                place = f" in {self.where}" if self.where else ""
                mend = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
                raise problem(self.path, f"unknown key {quoted(key)}{place}", mend)

    def table(self, known: Iterable[str] | None = None) -> "_Node":
        if not isinstance(self.value, Mapping):
            raise self.wrong("a table of keys and values")
        if known is not None:
            self.check_keys(known)
        return self

    def items(self) -> list["_Node"]:
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return [self.of(i) for i in range(len(self.value))]

    def named(self) -> dict[str, "_Node"]:
        """Entries of a table by name; numbers are names too."""
        names = [str(key) if isinstance(key, int | float) else key for key in self.value]
        if not all(isinstance(name, str) and name.strip() for name in names):
            raise self.wrong("a table whose keys are names")
        return {name: self.of(key) for name, key in zip(names, self.value, strict=True)}


def _text(node: _Node) -> str:
    """Numbers and dates are texts too, where a text is expected."""
    if isinstance(node.value, bool | list | Mapping) or node.value is None:
        raise node.wrong("a text")
    return str(node.value)


def _name(node: _Node) -> str:
    if not _text(node).strip():
        raise node.wrong("a name")
    return _text(node)


def _names(node: _Node) -> tuple[str, ...]:
    found = tuple(_name(item) for item in node.items())
    if len(set(found)) != len(found) or not found:
        raise node.wrong("a list of different names")
    return found


def _file(node: _Node) -> Path:
    if not isinstance(node.value, str) or not node.value.strip():
        raise node.wrong("the path of a file")
    return node.path.parent / node.value


def _flag(node: _Node) -> bool:
    if not isinstance(node.value, bool):
        raise node.wrong("true or false")
    return node.value


def _number(node: _Node) -> float:
    number = node.value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise node.wrong("a number")
    if not -1e300 < number < 1e300:
        raise node.wrong("a finite number")
    return float(number)


def _share(node: _Node) -> float:
    share = _number(node)
    if not 0 < share < 1:
        raise node.wrong("between 0 and 1")
    return share


def _whole(least: int, most: int = 10**9) -> Callable[[_Node], int]:
    def read(node: _Node) -> int:
        number = node.value
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or not least <= number <= most:
            raise node.wrong(f"a whole number from {least} to {most}")
        return number

    return read


def _choice(*known: str) -> Callable[[_Node], str]:
    def read(node: _Node) -> str:
        if node.value not in known:
            raise node.wrong(f"one of {', '.join(known)}")
        return node.value

    return read


def _statistic(node: _Node) -> str:
    text = _text(node)
    quantile = re.fullmatch(r"q(0?\.[0-9]{1,9})", text)
    if text not in ("mean", "median") and not (quantile and 0 < float(quantile[1]) < 1):
        raise node.wrong("mean, median, or a quantile such as q0.1")
    return text


def _column(node: _Node) -> str:
    """The name of a column, or a table that holds it."""
    if isinstance(node.value, Mapping):
        node.check_keys(["column"])
        return _name(_needed(node, "column"))
    return _name(node)


def _needed(node: _Node, key: str) -> _Node:
    if key not in node.value:
        raise node.wrong(f"a table with {key}")
    return node.of(key)


def _slices(node: _Node) -> tuple[Slice, ...]:
    return tuple(_slice(item) for item in node.items())


def _slice(node: _Node) -> Slice:
    if not isinstance(node.value, Mapping):
        return Slice(_name(node))
    node.check_keys(["column", "bins"])
    column = _name(_needed(node, "column"))
    bins = node.of("bins") if node.value.get("bins") is not None else None
    if bins is None:
        return Slice(column)
    if not isinstance(bins.value, list):
        return Slice(column, _whole(2, 100)(bins))
    edges = tuple(_number(item) for item in bins.items())
    if not edges or any(a >= b for a, b in pairwise(edges)):
        raise bins.wrong("how many groups, or edges that increase")
    return Slice(column, edges)


def _dataset(node: _Node) -> dict[str, str]:
    node.table(["name", "url", "license", "citation"])
    return {key: _text(node.of(key)) for key in node.value if node.value[key] is not None}


def _models(node: _Node) -> tuple[Entry, ...]:
    if isinstance(node.value, list):
        return tuple(Entry(None, _file(item)) for item in node.items())
    return tuple(_model(name, entry) for name, entry in node.table().named().items())


def _model(name: str, node: _Node) -> Entry:
    if not isinstance(node.value, Mapping):
        return Entry(name, _file(node))
    readers: dict[str, Callable[[_Node], Any]] = {
        "scores": _file,
        "version": _text,
        "license": _text,
        "url": _text,
        "contaminated": _flag,
        "contaminated_on": _names,
    }
    node.check_keys(readers)
    said = {key: readers[key](node.of(key)) for key, x in node.value.items() if x is not None}
    return Entry(name, said.pop("scores", None), Facts(**said))


def _metrics(node: _Node) -> tuple[tuple[str, ...], dict[str, Declared]]:
    """Names in order, and what is said of them."""
    if isinstance(node.value, list):
        return _names(node), {}
    entries = node.table().named()
    declared = {name: _declared(x) for name, x in entries.items() if x.value not in (None, {})}
    return tuple(entries), declared


def _declared(node: _Node) -> Declared:
    readers: dict[str, Callable[[_Node], Any]] = {
        "better": _choice("higher", "lower"),
        "best": _number,
        "worst": _number,
        "unit": _text,
    }
    node.table(readers)
    said: Any = {key: readers[key](node.of(key)) for key, x in node.value.items() if x is not None}
    return said


def _values(node: _Node) -> dict[str, float]:
    return {name: _number(entry) for name, entry in node.table().named().items()}


def _suspect(node: _Node) -> Suspect:
    node.table(["metric", "below"])
    metric = _name(node.of("metric")) if "metric" in node.value else "dice"
    return Suspect(metric, _number(_needed(node, "below")))


_KEYS: Mapping[str, Callable[[_Node], Any]] = {
    "title": _text,
    "dataset": _dataset,
    "models": _models,
    "scores": _file,
    "metrics": _metrics,
    "labels": _names,
    "metadata": _file,
    "slices": _slices,
    "clusters": _column,
    "strata": _column,
    "statistic": _statistic,
    "level": _share,
    "within": _flag,
    "interval": _choice(*METHODS),
    "verdict": _choice(*VERDICTS),
    "missing": _choice(*policy.MISSING),
    "undefined": _choice(*policy.UNDEFINED),
    "worst": _values,
    "suspect": _suspect,
    "failure": _values,
    "replicates": _whole(1),
    "permutations": _whole(1),
    "seed": _whole(0, 2**32 - 1),
    "calibrate": _flag,
    "minimum_n": _whole(1),
    "compat": _choice("segauge"),
}
