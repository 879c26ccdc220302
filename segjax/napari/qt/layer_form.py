"""Which layers are the reference, the results and the image; and what their labels are."""

from typing import Any

from napari.layers import Image, Labels
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from segjax.case import SURFACES
from segjax.napari.live import KINDS_OF_LABELS


NONE = "\N{EN DASH}"
_TRUE_NAMES = ("truth", "reference", "annotation", "ground", "manual", "expert", "gt")
_ROLE = Qt.ItemDataRole.UserRole
_CHECKED, _UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked
_LINES = 3  # of results that are seen without scrolling
_OF_THE_LIST = ("inserted", "removed", "reordered")
_OF_A_LAYER = ("paint", "labels_update", "set_data", "scale", "translate", "units")


class LayerForm(QWidget):
    """Choices of layers, kept up with the viewer; `changed` when scores may differ."""

    changed = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None):
        super().__init__(parent)
        self._viewer = viewer
        self._connections: list[tuple[Any, Any]] = []
        self.reference, self.image = QComboBox(), QComboBox()
        self.results = QListWidget()
        self.results.setFixedHeight(_LINES * self.fontMetrics().height() + 16)
        self.labels, self.surface = QComboBox(), QComboBox()
        self.labels.addItems(KINDS_OF_LABELS)
        self.surface.addItems(SURFACES)
        self.annotated_only = QCheckBox("only annotated objects count")
        self.annotated_only.setToolTip(
            "The reference holds a few objects of many. Results are judged by these; objects of "
            "a result that meet none of them are not counted."
        )
        self.relabel = QCheckBox("each connected piece is an object")
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Reference", self.reference)
        form.addRow("Results", self.results)
        form.addRow("Image", self.image)
        kinds = QHBoxLayout()
        kinds.addWidget(self.labels, 1)
        kinds.addWidget(QLabel("Surface"))
        kinds.addWidget(self.surface, 1)
        form.addRow("Labels are", kinds)
        form.addRow("", self.annotated_only)
        form.addRow("", self.relabel)
        self.image.setToolTip("Without a reference, scores are predicted from the image.")
        self.surface.setToolTip("What distances between boundaries are measured from.")
        for box in (self.reference, self.image, self.labels, self.surface):
            box.currentIndexChanged.connect(self.changed)
        self.results.itemChanged.connect(self.changed)
        for tick in (self.annotated_only, self.relabel):
            tick.toggled.connect(self.changed)
        self.refresh()

    def refresh(self, event: Any = None) -> None:
        """Offer the layers there are; choices stay as they were."""
        layers = list(self._viewer.layers)
        labels = [x for x in layers if isinstance(x, Labels)]
        known = self._offered()
        chosen = self.chosen_reference
        if chosen not in labels and not known:
            chosen = _likely_reference(labels)
        kept = self.chosen_results
        ticked = [x for x in labels if x is not chosen and (x in kept or x not in known)]
        blocked = (self.reference, self.image, self.results)
        before = [w.blockSignals(True) for w in blocked]
        _fill(self.reference, labels, chosen)
        images = [x for x in layers if isinstance(x, Image)]
        _fill(self.image, images, self.image.currentData() or next(iter(images), None))
        self.results.clear()
        for layer in labels:
            item = QListWidgetItem(layer.name, self.results)
            item.setData(_ROLE, layer)
            item.setCheckState(_CHECKED if layer in ticked else _UNCHECKED)
        for widget, state in zip(blocked, before, strict=True):
            widget.blockSignals(state)
        self._listen([*labels, *images])
        self.changed.emit()

    @property
    def chosen_reference(self) -> Any:
        return self.reference.currentData()

    @property
    def chosen_image(self) -> Any:
        return self.image.currentData()

    @property
    def chosen_results(self) -> list[Any]:
        """Those that are ticked; the reference is none of them."""
        items = (self.results.item(i) for i in range(self.results.count()))
        on = (item for item in items if item.checkState() == _CHECKED)
        layers = (item.data(_ROLE) for item in on)
        return [layer for layer in layers if layer is not self.chosen_reference]

    def tick(self, layer: Any, on: bool) -> None:
        """Take a layer as a result, or not."""
        for i in range(self.results.count()):
            item = self.results.item(i)
            if item.data(_ROLE) is layer:
                item.setCheckState(_CHECKED if on else _UNCHECKED)

    def let_go(self) -> None:
        """Listen to the viewer and its layers no more."""
        for emitter, slot in self._connections:
            emitter.disconnect(slot)
        self._connections = []

    def _offered(self) -> list[Any]:
        items = (self.results.item(i) for i in range(self.results.count()))
        return [item.data(_ROLE) for item in items]

    def _listen(self, layers: list[Any]) -> None:
        self.let_go()
        events = self._viewer.layers.events
        found = [(getattr(events, name), self.refresh) for name in _OF_THE_LIST]
        for layer in layers:
            found.append((layer.events.name, self.refresh))
            there = (getattr(layer.events, name, None) for name in _OF_A_LAYER)
            found += [(emitter, self._touched) for emitter in there if emitter is not None]
        for emitter, slot in found:
            emitter.connect(slot)
        self._connections = found

    def _touched(self, event: Any = None) -> None:
        chosen = [self.chosen_reference, self.chosen_image, *self.chosen_results]
        if any(event.source is layer for layer in chosen):
            self.changed.emit()


def _fill(box: QComboBox, layers: list[Any], chosen: Any) -> None:
    box.clear()
    box.addItem(NONE, None)
    for i, layer in enumerate(layers, start=1):
        box.addItem(layer.name, layer)
        if layer is chosen:
            box.setCurrentIndex(i)


def _likely_reference(labels: list[Any]) -> Any:
    """A layer that is called the truth; else the first of several."""
    named = [x for x in labels if any(word in x.name.casefold() for word in _TRUE_NAMES)]
    return next(iter(named or labels[: len(labels) > 1]), None)
