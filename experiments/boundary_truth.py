"""Truth: how far are boundary metrics of digitised shapes from those of the shapes themselves?

Two shapes whose surfaces are known by formula, a reference and a prediction that is grown,
shifted and turned, are put on a grid (a voxel is inside if its centre is) and scored by every
tool. Their true distances come from the formulas. `hd`, `hd95`, `assd` and `nsd` are mean
absolute errors, the columns ending in `bias` mean errors; distances are in voxels, that is
over the geometric mean of the spacing, so that every spacing counts alike. A tool that takes
the 95th percentile of both directions together is measured against that of the truth.

All tools take turns pair by pair within one process; `cpu_s` is the CPU time of all threads.
Neither importing is timed nor compiling, which segjax does for every size of image it has not
seen: every tool scores a pair once before it is timed. Peers that are not installed are listed
as absent.

    python -m experiments.boundary_truth
    python -m experiments.boundary_truth --pairs-3d 5 --pairs-2d 3   # a quick look

The peers: pip install monai medpy surface-distance pymeshmetrics segauge.
"""

import importlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import segjax


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    families: tuple[str, ...] = ("sphere", "ellipsoid", "box")  # discs, ellipses, rectangles
    pairs_3d: int = 30  # of each family; every spacing in its turn
    pairs_2d: int = 72
    smallest: float = 6.0  # radius, in voxels
    largest: float = 18.0
    samples: int = 2**17  # of a surface, for the truth; of a contour an eighth
    share: float = 0.5  # of the time of MeshMetrics that segjax may take
    seed: int = 0


SMOKE = Config(("ellipsoid",), pairs_3d=1, pairs_2d=1, smallest=3, largest=5, samples=2**10)
PEERS = ("monai", "torch", "medpy", "surface-distance", "pymeshmetrics", "vtk", "segauge")
SPACINGS: Mapping[int, Sequence[tuple[float, ...]]] = {
    2: ((1.0, 1.0), (0.5, 0.5), (2.0, 0.5)),
    3: ((1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (1.5, 1.0, 1.0), (3.0, 1.0, 1.0), (2.5, 0.7, 0.7)),
}


# Shapes with a known surface.


@dataclass(frozen=True)
class Shape:
    """The affine image of a unit ball: of the Euclidean norm an ellipsoid, else a box.

    Attributes:
        centre: its centre.
        radii: half its length along each of its own axes.
        axes: its own axes, as columns.
        norm: 2 for an ellipsoid, infinity for a box.
    """

    centre: np.ndarray
    radii: np.ndarray
    axes: np.ndarray
    norm: float

    def contains(self, points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(self._local(points) / self.radii, self.norm, axis=-1) <= 1

    def onto(self, directions: np.ndarray) -> np.ndarray:
        """The points of the surface that are the images of directions from the centre."""
        unit = directions / np.linalg.norm(directions, self.norm, axis=-1, keepdims=True)
        return self.centre + (unit * self.radii) @ self.axes.T

    def samples(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """About n directions that cover the surface evenly, and the area each stands for."""
        cover = _on_sphere if self.norm == 2 else _on_cube
        directions, normals, sizes = cover(n, self.radii.size)
        # An area vector of the ball grows with the product of all radii over its own.
        vectors = normals * self.radii.prod() / self.radii
        return directions, sizes * np.linalg.norm(vectors, axis=-1)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Of points in- or outside to the surface."""
        local = np.abs(self._local(points))
        if self.norm == 2:
            return _to_ellipsoid(local, self.radii)
        beyond = local - self.radii
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        return np.where(outside > 0, outside, -beyond.max(-1))

    def _local(self, points: np.ndarray) -> np.ndarray:
        return (points - self.centre) @ self.axes


def _on_sphere(n: int, dims: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Directions, normals and size of equal parts of the unit sphere or circle."""
    along, *across = _lattice(n, dims - 1)
    if not across:
        points = np.stack([np.cos(2 * np.pi * along), np.sin(2 * np.pi * along)], -1)
        return points, points, 2 * np.pi / n
    height, angle = 1 - 2 * along, 2 * np.pi * across[0]
    ring = np.sqrt(1 - height**2)
    points = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], -1)
    return points, points, 4 * np.pi / n


def _on_cube(n: int, dims: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Directions, normals and size of equal parts of the faces of the cube [-1, 1]^dims."""
    n = n // (2 * dims)
    face = 2 * np.stack(_lattice(n, dims - 1), -1) - 1
    points, normals = [], []
    for axis in range(dims):
        for side in (-1.0, 1.0):
            points.append(np.insert(face, axis, side, axis=1))
            normals.append(np.broadcast_to(side * np.eye(dims)[axis], points[-1].shape))
    return np.concatenate(points), np.concatenate(normals), 2.0 ** (dims - 1) / n


def _lattice(n: int, dims: int) -> list[np.ndarray]:
    """Coordinates of n evenly spread points of the unit interval or square (Fibonacci's)."""
    i = np.arange(n)
    return [(i + 0.5) / n, i * (np.sqrt(5) - 1) / 2 % 1][:dims]


def _to_ellipsoid(local: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Distance of points of the first octant to an ellipsoid along the axes.

    The nearest point is radii^2 local / (t + radii^2) for the largest root t of
    |z(t)| = 1, z(t) = radii local / (t + radii^2) (Eberly, D. (2013). Distance from a point to
    an ellipse, an ellipsoid, or a hyperellipsoid). Newton's method on 1 / |z(t)|, which is
    concave, rises to the root from any t with |z(t)| >= 1.
    """
    square = radii**2
    local = np.maximum(local, 1e-12 * radii)  # on a plane of symmetry the root may be a pole
    t = (radii * local - square).max(-1, keepdims=True)  # there one |z_i| is 1, none is more
    for _ in range(100):
        z = radii * local / (t + square)
        length = (z**2).sum(-1, keepdims=True) ** 0.5
        step = (length - 1) * length**2 / (z**2 / (t + square)).sum(-1, keepdims=True)
        t = t + np.maximum(step, 0)
        if (step <= 1e-13 * square.max()).all():
            break
    return np.linalg.norm(local * (1 - square / (t + square)), axis=-1)


# Their distances.


@dataclass(frozen=True)
class Truth:
    """Boundary metrics of two shapes, by formula."""

    hd: float
    hd95: float
    hd95_pooled: float
    assd: float
    nsd: float


def truth(reference: Shape, prediction: Shape, tolerance: float, samples: int) -> Truth:
    """Boundary metrics of two shapes.

    Averages, percentiles and shares are over samples of the surfaces, distances of these are
    exact, and the largest distance is searched for around the samples farthest away. More
    samples than the default change nothing by more than 1e-3 voxels.
    """
    sides = [_side(reference, prediction, samples), _side(prediction, reference, samples)]
    both = np.concatenate([d for d, _, _ in sides]), np.concatenate([area for _, area, _ in sides])
    return Truth(
        hd=max(farthest for _, _, farthest in sides),
        hd95=max(_percentile(d, area, 95) for d, area, _ in sides),
        hd95_pooled=_percentile(*both, 95),
        assd=float(np.average(both[0], weights=both[1])),
        nsd=float(np.average(both[0] <= tolerance, weights=both[1])),
    )


def _side(one: Shape, other: Shape, samples: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Distances of the samples of a surface to the other, their areas, and the largest."""
    directions, areas = one.samples(samples)
    distances = other.distance(one.onto(directions))
    best = directions[np.argsort(distances)[-64:]]
    around = np.stack(np.meshgrid(*[(-1, 0, 1)] * one.radii.size, indexing="ij"), -1)
    around = around.reshape(-1, one.radii.size)
    step = 0.2
    while step > 1e-7:
        near = best[:, None] + step * around
        far = other.distance(one.onto(near))
        best = np.take_along_axis(near, far.argmax(1)[:, None, None], 1)[:, 0]
        best /= np.linalg.norm(best, one.norm, axis=-1, keepdims=True)
        step *= 0.7
    return distances, areas, float(other.distance(one.onto(best)).max())


def _percentile(distances: np.ndarray, areas: np.ndarray, percentile: float) -> float:
    order = np.argsort(distances)
    reached = np.cumsum(areas[order])
    return float(distances[order][np.searchsorted(reached, percentile / 100 * reached[-1])])


# Pairs.


@dataclass(frozen=True)
class Pair:
    """Two digitised shapes, and what a tool has to find."""

    family: str
    reference: np.ndarray
    prediction: np.ndarray
    spacing: tuple[float, ...]
    tolerance: float
    truth: Truth

    @property
    def voxel(self) -> float:
        """Side of a cube as large as a voxel."""
        return float(np.prod(self.spacing)) ** (1 / len(self.spacing))


def draw(config: Config, dims: int) -> list[Pair]:
    """Pairs of every family."""
    rng = np.random.default_rng((config.seed, dims))
    number = config.pairs_2d if dims == 2 else config.pairs_3d
    spacings = SPACINGS[dims]
    return [
        _draw(rng, config, family, spacings[i % len(spacings)])
        for family in config.families
        for i in range(number)
    ]


def _draw(
    rng: np.random.Generator, config: Config, family: str, spacing: tuple[float, ...]
) -> Pair:
    """Grow by up to 1.5 voxels, shift by 0.5 to 1.5, turn by up to 0.2.

    The tolerance is drawn too, from 0.7 to 1.7 voxels: distances between voxels are roots of
    whole numbers, and all tolerances between two of these would be one to a tool.
    """
    dims = len(spacing)
    voxel = np.prod(spacing) ** (1 / dims)
    radii = voxel * rng.uniform(config.smallest, config.largest, 1 if family == "sphere" else dims)
    axes = _rotation(rng, dims, np.pi)
    shift = rng.normal(size=dims)
    shift *= voxel * rng.uniform(0.5, 1.5) / np.linalg.norm(shift)
    grown = radii + voxel * rng.uniform(-1.5, 1.5, radii.size)
    radii, grown = (np.broadcast_to(x, dims) for x in (radii, grown))
    norm = np.inf if family == "box" else 2
    reach = np.maximum(radii, grown).max() * (np.sqrt(dims) if family == "box" else 1) + 2 * voxel
    shape = np.ceil(2 * reach / np.array(spacing)).astype(int) + 5
    centre = (shape // 2 + rng.uniform(-0.5, 0.5, dims)) * spacing
    one = Shape(centre, radii, axes, norm)
    other = Shape(centre + shift, grown, _rotation(rng, dims, 0.2) @ axes, norm)
    tolerance = float(voxel * rng.uniform(0.7, 1.7))
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) * np.array(spacing)
    expected = truth(one, other, tolerance, config.samples // (8 if dims == 2 else 1))
    return Pair(family, one.contains(grid), other.contains(grid), spacing, tolerance, expected)


def _rotation(rng: np.random.Generator, dims: int, largest: float) -> np.ndarray:
    """By a random angle, in a random plane."""
    plane = np.linalg.qr(rng.normal(size=(dims, 2)))[0]
    angle = rng.uniform(-largest, largest)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.eye(dims) + plane @ (turn - np.eye(2)) @ plane.T


# Tools.


Scores = tuple[float | None, ...]  # in the order of METRICS
METRICS = ("hd", "hd95", "assd", "nsd")


@dataclass(frozen=True)
class Tool:
    """One way to score a pair.

    Attributes:
        score: what is timed.
        pooled: its HD95 is of both directions together.
        dims: of the images it can score.
    """

    score: Callable[[Pair], Scores]
    pooled: bool = False
    dims: tuple[int, ...] = (2, 3)


def _segjax(surface: str) -> Tool:
    def score(pair: Pair) -> Scores:
        metrics = ("HD", "HD95", "assd", f"nsd(tolerance={pair.tolerance})")
        scores = segjax.evaluate(
            reference=pair.reference,
            prediction=pair.prediction,
            metrics=metrics,
            spacing=pair.spacing,
            surface=surface,
        )
        return tuple(map(float, scores.values()))

    return Tool(score)


def _monai(*, subvoxels: bool = False) -> Tool:
    torch, metrics = importlib.import_module("torch"), importlib.import_module("monai.metrics")
    torch.set_num_threads(1)  # more threads cost more CPU time

    def score(pair: Pair) -> Scores:
        r, p = (torch.as_tensor(x[None, None]) for x in (pair.reference, pair.prediction))
        options: dict[str, Any] = {"include_background": True, "spacing": pair.spacing}
        nsd = metrics.compute_surface_dice(
            p, r, [pair.tolerance], use_subvoxels=subvoxels, **options
        )
        if subvoxels:
            return None, None, None, nsd.item()
        hd = metrics.compute_hausdorff_distance(p, r, **options)
        hd95 = metrics.compute_hausdorff_distance(p, r, percentile=95, **options)
        assd = metrics.compute_average_surface_distance(p, r, symmetric=True, **options)
        return hd.item(), hd95.item(), assd.item(), nsd.item()

    return Tool(score)


def _medpy() -> Tool:
    binary = importlib.import_module("medpy.metric.binary")

    def score(pair: Pair) -> Scores:
        given = pair.prediction, pair.reference, pair.spacing
        return binary.hd(*given), binary.hd95(*given), binary.assd(*given), None

    return Tool(score, pooled=True)


def _surface_distance() -> Tool:
    peer = importlib.import_module("surface_distance")

    def score(pair: Pair) -> Scores:
        d = peer.compute_surface_distances(pair.reference, pair.prediction, pair.spacing)
        # Its averages are of one direction each, and their mean would be MASD.
        means = peer.compute_average_surface_distance(d)
        areas = d["surfel_areas_gt"].sum(), d["surfel_areas_pred"].sum()
        return (
            peer.compute_robust_hausdorff(d, 100),
            peer.compute_robust_hausdorff(d, 95),
            float(np.average(means, weights=areas)),
            peer.compute_surface_dice_at_tolerance(d, pair.tolerance),
        )

    return Tool(score)


def _meshmetrics() -> Tool:
    peer = importlib.import_module("meshmetrics")

    def score(pair: Pair) -> Scores:
        d = peer.DistanceMetrics(verbose=False)
        d.set_input(pair.reference, pair.prediction, spacing=pair.spacing)
        return d.hd(), d.hd(95), d.assd(), d.nsd(pair.tolerance)

    return Tool(score)


def _segauge() -> Tool:
    peer = importlib.import_module("segauge")

    def score(pair: Pair) -> Scores:
        scores = peer.surface_metrics(pair.prediction, pair.reference, pair.spacing, pair.tolerance)
        return tuple(scores[name] for name in METRICS)

    return Tool(score, pooled=True, dims=(3,))


OURS = "segjax mesh"
SLOWEST = "MeshMetrics"
TOOLS: Mapping[str, Callable[[], Tool]] = {
    OURS: lambda: _segjax("mesh"),
    "segjax surfel": lambda: _segjax("surfel"),
    "segjax voxel": lambda: _segjax("voxel"),
    SLOWEST: _meshmetrics,
    "segauge": _segauge,
    "MONAI": _monai,
    "MONAI, subvoxels": lambda: _monai(subvoxels=True),
    "medpy": _medpy,
    "surface-distance": _surface_distance,
}


# The table.


Rows = list[dict[str, Any]]


def run(config: Config) -> Rows:
    """One row per tool and family, one per tool over all families, and one per bar."""
    tools: dict[str, Tool] = {}
    rows: Rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers, about themselves
        for name, build in TOOLS.items():
            try:
                tools[name] = build()
            except ImportError:
                rows.append({"tool": name, "absent": True})
        for dims in (3, 2):
            able = {name: tool for name, tool in tools.items() if dims in tool.dims}
            found = _contest(draw(config, dims), able)
            rows += [{"dims": dims} | row for row in [*found, *_bars(found, config)]]
    return rows


def _contest(pairs: Sequence[Pair], tools: Mapping[str, Tool]) -> Rows:
    errors: dict[str, list[Scores]] = {name: [] for name in tools}
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for i, pair in enumerate(pairs):
        for name in list(tools)[:: -1 if i % 2 else 1]:
            tool = tools[name]
            tool.score(pair)  # compiles
            begun = time.process_time()
            scores = tool.score(pair)
            seconds[name].append(time.process_time() - begun)
            errors[name].append(_errors(scores, pair, pooled=tool.pooled))
    of = np.array([pair.family for pair in pairs])
    chosen = {"all": of != ""} | {family: of == family for family in dict.fromkeys(of.tolist())}
    return [
        {"family": family, "tool": name, **_row(errors[name], seconds[name], there)}
        for family, there in chosen.items()
        for name in tools
    ]


def _errors(scores: Scores, pair: Pair, *, pooled: bool) -> Scores:
    """In voxels, NSD as it is; None for what a tool does not have."""
    t, unit = pair.truth, pair.voxel
    expected = (t.hd, t.hd95_pooled if pooled else t.hd95, t.assd, t.nsd)
    return tuple(
        None if score is None else float(score - right) / scale
        for score, right, scale in zip(scores, expected, (unit, unit, unit, 1), strict=True)
    )


def _row(errors: Sequence[Scores], seconds: Sequence[float], chosen: np.ndarray) -> dict[str, Any]:
    table = np.array(errors, float)[chosen]  # None becomes NaN
    mean = lambda x: [None if np.isnan(m) else round(float(m), 4) for m in x.mean(0)]
    return {
        "pairs": int(chosen.sum()),
        **dict(zip(METRICS, mean(np.abs(table)), strict=True)),
        **dict(zip([f"{m}_bias" for m in METRICS], mean(table), strict=True)),
        "cpu_s": round(float(np.array(seconds)[chosen].sum()), 3),
    }


def _bars(rows: Rows, config: Config) -> Rows:
    """Ours errs least of all in HD95, ASSD and NSD, and is quick beside its like."""
    whole = {row["tool"]: row for row in rows if row["family"] == "all"}
    ours = whole.pop(OURS)
    bars = []
    for metric in ("hd95", "assd", "nsd"):
        error = {name: row[metric] for name, row in whole.items() if row[metric] is not None}
        best = min(error, key=error.__getitem__)
        bars.append(_bar(f"least error in {metric}", ours[metric], best, error[best], 1))
    if SLOWEST in whole:
        peer = whole[SLOWEST]["cpu_s"]
        bars.append(_bar("CPU seconds", ours["cpu_s"], SLOWEST, peer, config.share))
    return bars


def _bar(bar: str, ours: float, peer: str, theirs: float, share: float) -> dict[str, Any]:
    return {"bar": bar, OURS: ours, "peer": peer, "of_peer": theirs, "met": ours < share * theirs}


def _by_family(rows: Rows) -> Rows:
    """One row per tool, the errors in each family as columns."""
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        line = table.setdefault((row["dims"], row["tool"]), {k: row[k] for k in ("dims", "tool")})
        line |= {f"{row['family']} {metric}": row[metric] for metric in METRICS}
    return list(table.values())


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    scored = [row for row in rows if "family" in row]
    columns = ("dims", "tool", "pairs", *METRICS, *(f"{metric}_bias" for metric in METRICS))
    whole = [row for row in scored if row["family"] == "all"]
    print(_record.show(whole, (*columns, "cpu_s")), end="\n\n")
    columns = [f"{family} {metric}" for family in config.families for metric in METRICS]
    print(_record.show(_by_family(scored), ("dims", "tool", *columns)), end="\n\n")
    bars = ("dims", "bar", OURS, "peer", "of_peer", "met")
    print(_record.show([row for row in rows if "bar" in row], bars), end="\n\n")
    for row in rows:
        if "absent" in row:
            print("absent:", row["tool"])
    seconds = time.perf_counter() - start
    print(_record.save("boundary_truth", config, rows, seconds, packages=PEERS))
