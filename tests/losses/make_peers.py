"""Ask other libraries for their losses, and freeze what they say in `peers.json`.

    python -m tests.losses.make_peers

Needs, beside what the tests need: pip install torch monai segmentation-models-pytorch. Inputs are
drawn here, too; tests read both from the file and need none of the libraries.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


FILE = Path(__file__).with_name("peers.json")
PRIOR = 1.0  # of ours; MONAI's smooth is twice that, optax's the same


def inputs() -> dict[str, dict[str, Any]]:
    """Logits (case, *space, class) and class ids."""
    rng = np.random.default_rng(7)
    drawn = {}
    for name, space, classes in (
        ("binary 2-D", (6, 7), 1),
        ("three classes 2-D", (6, 7), 3),
        ("two classes 3-D", (4, 5, 6), 2),
    ):
        logits = rng.normal(size=(2, *space, classes)).round(3)
        labels = rng.integers(0, max(2, classes), (2, *space))
        drawn[name] = {"logits": logits, "labels": labels}
    return drawn


def of_monai(logits: Any, labels: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Our name and options, and MONAI's value of each case."""
    import torch
    from monai import losses

    binary = logits.shape[-1] == 1
    x = torch.tensor(np.moveaxis(logits, -1, 1))
    y = torch.tensor(labels[:, None], dtype=x.dtype)  # of integers MONAI cuts off distances
    act: dict[str, Any] = {"sigmoid": binary, "softmax": not binary, "to_onehot_y": not binary}
    smooth = {"smooth_nr": 2 * PRIOR, "smooth_dr": 2 * PRIOR}
    prior = {"prior": PRIOR}

    def each_case(loss: Any) -> Any:
        return [float(loss(x[i : i + 1], y[i : i + 1])) for i in range(len(x))]

    yield "dice", prior, each_case(losses.DiceLoss(**act, **smooth))
    yield "iou", prior, each_case(losses.DiceLoss(**act, **smooth, jaccard=True))
    tversky = losses.TverskyLoss(**act, alpha=0.3, beta=0.7, smooth_nr=PRIOR, smooth_dr=PRIOR)
    yield "tversky", prior, each_case(tversky)
    if not binary:
        generalised = losses.GeneralizedDiceLoss(**act, smooth_nr=0.0, smooth_dr=0.0)
        yield "generalised_dice", {}, each_case(generalised)
    yield "mcc", {"prior": 0.0}, each_case(losses.MCCLoss(**act, smooth_nr=0.0, smooth_dr=0.0))
    hausdorff = losses.HausdorffDTLoss(**act, include_background=True)
    yield "hausdorff", {}, each_case(hausdorff)
    if binary:  # of several classes MONAI adds up the skeletons
        skeletons = losses.SoftclDiceLoss(**act, smooth=1e-12)
        yield "cldice", prior, each_case(skeletons)
    yield "dice_ce", prior, each_case(losses.DiceCELoss(**act, **smooth))
    focal = losses.FocalLoss(gamma=2.0, use_softmax=not binary, to_onehot_y=not binary)
    # MONAI's mean is over the classes, too, most of which are 0.
    yield "focal", {"gamma": 2.0}, [v * logits.shape[-1] for v in each_case(focal)]
    yield "boundary", {}, each_case(losses.BoundaryLoss(**act))


def of_torch(logits: Any, labels: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Our name and options, and PyTorch's mean over the batch."""
    import torch
    from torch.nn import functional

    x, y = torch.tensor(np.moveaxis(logits, -1, 1)), torch.tensor(labels)
    if logits.shape[-1] == 1:
        value = functional.binary_cross_entropy_with_logits(x[:, 0], y.to(x.dtype))
        yield "cross_entropy", {}, float(value)
        return
    weights = [0.5, 2.0, 1.0][: logits.shape[-1]]
    for theirs, ours in (
        ({}, {}),
        ({"label_smoothing": 0.1}, {"label_smoothing": 0.1}),
        ({"ignore_index": 1}, {"ignore_index": 1}),
        ({"weight": torch.tensor(weights, dtype=x.dtype)}, {"class_weights": weights}),
    ):
        value = functional.cross_entropy(x, y, **theirs)
        yield "cross_entropy", ours, float(value)


def of_smp(logits: Any, labels: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Our name and options, and the mean over the cases of segmentation-models-pytorch."""
    import torch
    from segmentation_models_pytorch import losses

    if logits.ndim != 4:
        return
    x = torch.tensor(np.moveaxis(logits, -1, 1), dtype=torch.float32)
    y = torch.tensor(labels)
    if logits.shape[-1] == 1:
        loss = losses.LovaszLoss("binary", per_image=True)
        yield "lovasz_hinge", {}, float(loss(x, y))
    else:
        loss = losses.LovaszLoss("multiclass", per_image=True)
        yield "lovasz_softmax", {}, float(loss(x, y))


def of_optax(logits: Any, labels: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Our name and options, and optax's value of each case."""
    import jax
    from optax import losses

    classes = logits.shape[-1]
    flat = logits.reshape(len(logits), -1, classes)
    ids = labels.reshape(len(labels), -1)
    if classes == 1:
        y = ids[..., None].astype(float)
        cross = losses.sigmoid_binary_cross_entropy(flat, y).mean((1, 2))
        yield "focal", {}, losses.sigmoid_focal_loss(flat, y).mean((1, 2)).tolist()
    else:
        y = jax.nn.one_hot(ids, classes)
        cross = losses.softmax_cross_entropy_with_integer_labels(flat, ids).mean(1)
        yield "dice", {"prior": PRIOR}, losses.dice_loss(flat, y, smooth=PRIOR).tolist()
    yield "cross_entropy", {}, cross.tolist()


PEERS = {
    "monai": of_monai,
    "torch": of_torch,
    "segmentation-models-pytorch": of_smp,
    "optax": of_optax,
}


def main() -> None:
    """Write the file."""
    drawn = inputs()
    said = [
        {"peer": peer, "version": version(peer), "input": name, "loss": loss, "options": options}
        | {"value": value}
        for peer, ask in PEERS.items()
        for name, given in drawn.items()
        for loss, options, value in ask(**given)
    ]
    as_lists = {k: {n: x.tolist() for n, x in v.items()} for k, v in drawn.items()}
    FILE.write_text(json.dumps({"inputs": as_lists, "expected": said}) + "\n")


if __name__ == "__main__":
    main()
