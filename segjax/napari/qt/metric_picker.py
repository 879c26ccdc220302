"""Which metrics are shown, and their options."""

import inspect
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from segjax._errors import InputError
from segjax.metrics import METRICS, Metric, get_metric
from segjax.napari.live import DEFAULT_METRICS


_ROLE = Qt.ItemDataRole.UserRole


class MetricPicker(QWidget):
    """The catalogue as a list to tick; `changed` when the choice does, `refused` with a reason."""

    changed = Signal()
    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.search, self.list = QLineEdit(), QListWidget()
        self.search.setPlaceholderText("find, or add by Enter: nsd@2, f1(threshold=0.7), HD95 ...")
        self.search.textChanged.connect(self._find)
        self.search.returnPressed.connect(self._add)
        self.about = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.options = QFormLayout()
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.list)
        layout.addWidget(self.about)
        layout.addLayout(self.options)
        ticked = list(map(get_metric, DEFAULT_METRICS))
        names = {m.name for m in ticked}
        for metric in (*ticked, *(m for m in METRICS if m.name not in names)):
            self._insert(metric, on=metric.name in names)
        self.list.itemChanged.connect(self.changed)
        self.list.currentItemChanged.connect(lambda item, before: self._show(item))

    def metrics(self) -> tuple[str, ...]:
        """Names of those that are ticked."""
        on = (i for i in self._items() if i.checkState() == Qt.CheckState.Checked)
        return tuple(item.data(_ROLE).name for item in on)

    def tick(self, name: str, on: bool = True) -> None:
        """Tick a metric; one with options that is not in the list yet is put on top.

        Raises:
            InputError: if there is no such metric.
        """
        metric = get_metric(name)
        item = next((i for i in self._items() if i.data(_ROLE) == metric), None)
        if item is None:
            item = self._insert(metric, on=on, first=True)
            self.changed.emit()
        item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self.list.setCurrentItem(item)

    def _items(self) -> list[QListWidgetItem]:
        return [self.list.item(i) for i in range(self.list.count())]

    def _insert(self, metric: Metric, *, on: bool, first: bool = False) -> QListWidgetItem:
        item = QListWidgetItem(metric.name)
        item.setData(_ROLE, metric)
        item.setToolTip(metric.title)
        item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self.list.insertItem(0 if first else self.list.count(), item)
        return item

    def _find(self, text: str) -> None:
        """Hide what neither is called so nor has an alias that is."""
        sought = text.casefold().strip()
        for item in self._items():
            metric = item.data(_ROLE)
            names = (item.text(), metric.title, *metric.aliases)
            item.setHidden(not any(sought in name.casefold() for name in names))

    def _add(self) -> None:
        try:
            self.tick(self.search.text())
        except InputError as error:
            self.refused.emit(str(error))
        else:
            self.search.clear()

    def _show(self, item: QListWidgetItem | None) -> None:
        """Definition and options of the metric at hand."""
        while self.options.rowCount():
            self.options.removeRow(0)
        if item is None:
            return
        metric = item.data(_ROLE)
        self.about.setText(metric.title + ".")
        for name, value in _options(metric).items():
            self.options.addRow(name, self._editor(item, name, value))

    def _editor(self, item: QListWidgetItem, name: str, value: Any) -> QWidget:
        change = lambda new: self._change(item, name, new)
        if isinstance(value, bool):
            box = QCheckBox(checked=value)
            box.toggled.connect(change)
            return box
        if isinstance(value, int | float):
            small = value < 1
            spin = QDoubleSpinBox(
                decimals=2, maximum=1e6, singleStep=0.05 if small else 1.0, value=value
            )
            spin.valueChanged.connect(change)
            return spin
        line = QLineEdit(value)
        line.editingFinished.connect(lambda: change(line.text()))
        return line

    def _change(self, item: QListWidgetItem, name: str, value: Any) -> None:
        try:
            metric = item.data(_ROLE).at(**{name: value})
        except InputError as error:
            self.refused.emit(str(error))
            return
        before = self.list.blockSignals(True)
        item.setData(_ROLE, metric)
        item.setText(metric.name)
        self.list.blockSignals(before)
        self.changed.emit()


def _options(metric: Metric) -> dict[str, Any]:
    """Options of a metric that have a value, and these."""
    parameters = inspect.signature(metric.function).parameters
    own = {k: p.default for k, p in parameters.items() if p.default is not p.empty}
    values = own | dict(metric.options)
    return {
        k: values[k] for k in metric.option_names if isinstance(values.get(k), int | float | str)
    }
