"""What becomes of each object, by sets of voxels and the definitions in words."""

from fractions import Fraction

from tests.reference import components, overlap


def objects(labels, counted):
    numbers = sorted(set(labels.ravel().tolist()) - {0})
    sets = {k: overlap.voxels(labels == k) & counted for k in numbers}
    return {k: voxels for k, voxels in sets.items() if voxels}


def lies_in(inner, outer):
    return 2 * len(inner & outer) > len(inner)


def kinds(references, predictions):
    """Of each object of either map, the first of the descriptions that fits."""
    content = {  # the reference objects in each predicted one, and the other way round
        j: {i for i, r in references.items() if lies_in(r, p)} for j, p in predictions.items()
    }
    parts = {i: {j for j, p in predictions.items() if lies_in(p, r)} for i, r in references.items()}
    ours, theirs = {}, {}
    for i in references:
        holders = [j for j in predictions if i in content[j]]
        if any(len(content[j]) > 1 for j in holders):
            ours[i] = "merged"
        elif len(parts[i]) > 1:
            ours[i] = "split"
        else:
            ours[i] = "accurate" if holders else "missed"
    for j in predictions:
        if len(content[j]) > 1:
            theirs[j] = "merged"
        elif any(j in parts[i] and len(parts[i]) > 1 for i in references):
            theirs[j] = "split"
        else:
            theirs[j] = "accurate" if content[j] else "spurious"
    return ours, theirs


def match(voxels, others):
    """The object that shares most, of several the smallest, of several the first; 0 for none."""
    meeting = [k for k, other in others.items() if voxels & other]
    return min(meeting, key=lambda k: (-len(voxels & others[k]), len(others[k]), k), default=0)


def rows(reference, prediction, spacing=None, labels=None, counted=None):
    """Rows of the table, whole numbers and fractions."""
    counted = overlap.voxels(reference == reference) if counted is None else counted
    spacing = spacing or (1,) * reference.ndim
    references, predictions = (
        {k: v for k, v in objects(x, counted).items() if labels is None or k in labels}
        for x in (reference, prediction)
    )
    volume = 1
    for step in spacing:
        volume *= Fraction(step)
    found = []
    sides = (
        ("reference", reference, references, predictions),
        ("prediction", prediction, predictions, references),
    )
    for (side, image, own, others), kind in zip(sides, kinds(references, predictions), strict=True):
        for k, voxels in own.items():
            best = match(voxels, others)
            other = others.get(best, set())
            shared = len(voxels & other)
            centre = [
                Fraction(sum(v[axis] for v in voxels), len(voxels)) * Fraction(step)
                for axis, step in enumerate(spacing)
            ]
            scores = Fraction(shared, len(voxels)), Fraction(shared, len(voxels | other))
            pieces = components.components(image == k, image.ndim)[1] if image.ndim < 4 else 0
            sizes = len(voxels), len(voxels) * volume, pieces
            found.append((side, k, kind[k], best, *scores, *sizes, *centre))
    return found


CODES = {"accurate": 1, "missed": 2, "spurious": 3, "merged": 4, "split": 5}


def painted(reference, prediction, **options):
    """Code of each voxel, that of the reference's object before that of the predicted one."""
    kind = {row[:2]: CODES[row[2]] for row in rows(reference, prediction, **options)}
    image = reference * 0
    for place in options.get("counted") or overlap.voxels(reference == reference):
        r, p = int(reference[place]), int(prediction[place])
        image[place] = kind.get(("reference", r), kind.get(("prediction", p), 0))
    return image
