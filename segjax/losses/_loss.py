"""What is known about a loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from segjax.metrics import Documented


@dataclass(frozen=True, kw_only=True)
class Loss(Documented):
    """A function of predictions and labels, and the metric that it stands for.

    Attributes:
        function: takes predictions and labels, and the keywords of `Inputs`.
        metric: the name of the metric, to be read by `segjax.get_metric`.
        relation: what holds between the two on hard masks, in words; the tests show it.
        exact: options with which the loss is one minus the metric (the metric itself, of those
            that are best at 0); None if there are none.
        of: "class" if it has one value per class, "pixel", "case" for one value per case, or
            "object" if labels are object ids.
    """

    function: Callable[..., Any]
    metric: str
    relation: str
    exact: dict[str, Any] | None = None
    of: Literal["class", "pixel", "case", "object"] = "class"

    @property
    def name(self) -> str:
        return self.function.__name__
