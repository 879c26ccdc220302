"""Scores of several results, side by side."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from segjax.napari.live import Answer
from segjax.napari.text import best_of, mark_hint, mark_text


class ScoreTable(QTableWidget):
    """A row per metric, a column per result; `chosen` when the user turns to another result."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(0, 0, parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().sectionClicked.connect(self._choose)
        self.cellClicked.connect(lambda row, column: self._choose(column))
        self._names: tuple[str, ...] = ()

    def show_answer(self, answer: Answer | None, current: str = "") -> None:
        """Fill in scores; the best of each row is bold, the column at hand underlined."""
        results = {} if answer is None else answer.results
        marks = {name: result.marks for name, result in results.items()}
        metrics = list(dict.fromkeys(metric for of in marks.values() for metric in of))
        self._names = tuple(results)
        self.setRowCount(len(metrics))
        self.setColumnCount(len(results))
        for column, name in enumerate(results):
            heading = QTableWidgetItem(name)
            font = heading.font()
            font.setUnderline(len(results) > 1 and name == current)
            heading.setFont(font)
            self.setHorizontalHeaderItem(column, heading)
        for row, metric in enumerate(metrics):
            self.setVerticalHeaderItem(row, QTableWidgetItem(metric))
            there = {name: of[metric] for name, of in marks.items() if metric in of}
            best = best_of(metric, {name: mark.value for name, mark in there.items()})
            for column, name in enumerate(results):
                item = QTableWidgetItem()
                if name in there and answer is not None:
                    unit, axes = answer.question.unit, len(answer.question.spacing)
                    item.setText(mark_text(metric, there[name], unit, axes))
                    item.setToolTip(mark_hint(metric, there[name]))
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                font = item.font()
                font.setBold(name in best)
                item.setFont(font)
                self.setItem(row, column, item)

    def _choose(self, column: int) -> None:
        self.chosen.emit(self._names[column])
