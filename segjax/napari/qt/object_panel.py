"""What becomes of each object: a table to click, and the colours of the layers."""

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from segjax.napari.text import size_text
from segjax.napari.triage import KIND_COLOURS, WAYS, iou_colour, worst_first
from segjax.objects import ObjectTable


COLUMNS = ("IoU", "kind", "label", "match", "size")
AS_THEY_ARE = "as they are"
_NOTHING = "Objects are judged where there is a reference."


class ObjectModel(QAbstractTableModel):
    """The rows of an object table that are worth a look, worst first."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.table: ObjectTable | None = None
        self.rows: Any = ()
        self.unit = ""

    def show_table(self, table: ObjectTable | None, unit: str) -> None:
        """Show another table."""
        self.beginResetModel()
        self.table, self.unit = table, unit
        self.rows = () if table is None else worst_first(table)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        return len(COLUMNS)

    def headerData(
        self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return COLUMNS[section]

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        table, row, column = self.table, int(self.rows[index.row()]), COLUMNS[index.column()]
        assert table is not None
        iou, kind = float(table.iou[row]), str(table.kind[row])
        if role == Qt.ItemDataRole.DecorationRole and column in ("IoU", "kind"):
            return QColor(*(iou_colour(iou) if column == "IoU" else KIND_COLOURS[kind]))
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        match = int(table.match[row])
        return {
            "IoU": f"{iou:.3f}",
            "kind": kind,
            "label": str(table.label[row]),
            "match": str(match) if match else "",
            "size": size_text(float(table.size[row]), self.unit, len(table.spacing)),
        }[column]


class ObjectPanel(QWidget):
    """The table, "next worst", and how labels are coloured."""

    picked = Signal(int)  # a row of the object table
    way_changed = Signal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.model = ObjectModel(self)
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.verticalHeader().setVisible(False)
        header = self.view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(COLUMNS.index("kind"), QHeaderView.ResizeMode.ResizeToContents)
        header.setResizeContentsPrecision(0)  # of the rows that are seen
        self.view.clicked.connect(lambda index: self._pick(index.row()))
        self.counts = QLabel(wordWrap=True)
        self.way = QComboBox()
        self.way.addItem(AS_THEY_ARE, "")
        for way, text in zip(WAYS, ("by IoU (bright is bad)", "by kind of error"), strict=True):
            self.way.addItem(text, way)
        self.way.currentIndexChanged.connect(self.way_changed)
        self.next_worst = QPushButton("Next worst (Shift+N)")
        self.next_worst.clicked.connect(lambda: self.go_on())
        top = QHBoxLayout()
        top.addWidget(QLabel("Colours"))
        top.addWidget(self.way, 1)
        top.addWidget(self.next_worst)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self.counts)
        layout.addWidget(self.view)
        self._at: tuple[bool, int] | None = None  # side and label, which outlast an answer

    def show_table(self, table: ObjectTable | None, unit: str) -> None:
        """Show other objects, or the same after a change; the one at hand stays selected."""
        self.model.show_table(table, unit)
        self.counts.setText(_NOTHING if table is None else _counts(table))
        place = self._place()
        if place is not None:
            self.view.selectRow(place)

    def go_on(self) -> None:
        """Go to the next worse object, after the last to the first."""
        if len(self.model.rows):
            place = self._place()
            self._pick(0 if place is None else (place + 1) % len(self.model.rows))

    def _place(self) -> int | None:
        """Where the object at hand stands now; None if it is gone."""
        table, rows = self.model.table, self.model.rows
        if table is None or self._at is None:
            return None
        side, label = self._at
        found = (table.in_reference[rows] == side) & (table.label[rows] == label)
        return int(found.argmax()) if found.any() else None

    def _pick(self, place: int) -> None:
        table, row = self.model.table, int(self.model.rows[place])
        assert table is not None
        self._at = (bool(table.in_reference[row]), int(table.label[row]))
        self.view.selectRow(place)
        self.picked.emit(row)


def _counts(table: ObjectTable) -> str:
    """Numbers of objects, each kind with a swatch of its colour; all words are ours."""
    counts = table.counts
    kinds = (
        f'<span style="color:rgb{colour}">\N{BLACK SQUARE}</span>&nbsp;{counts[kind]}&nbsp;{kind}'
        for kind, colour in KIND_COLOURS.items()
    )
    return f"{counts['reference']} objects, {counts['prediction']} in the result: " + " ".join(
        kinds
    )
