"""The high-score table: enter, compare, export."""

import getpass
import math
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from segjax._errors import InputError
from segjax.napari.highscores import HighScores, default_file
from segjax.napari.live import Result


_FILTER = "Scores (*.csv)"


class HighScorePanel(QWidget):
    """Scores that were entered, of one image and one metric, the best first."""

    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.path = default_file()
        self.scores = HighScores()
        self._result: Result | None = None
        self._name = ""
        self.player, self.how, self.image = QLineEdit(_user()), QLineEdit(), QLineEdit()
        self.how.setPlaceholderText("what was done, e.g. Otsu, sigma 2")
        self.enter = QPushButton("Enter")
        self.enter.clicked.connect(lambda: self.enter_scores())
        export, other = QPushButton("Export..."), QPushButton("Other file...")
        export.clicked.connect(lambda: self._ask_export())
        other.clicked.connect(lambda: self._ask_other())
        self.case, self.metric = QComboBox(), QComboBox()
        self.case.currentIndexChanged.connect(lambda: self._fill_metrics())
        self.metric.currentIndexChanged.connect(lambda: self._fill_table())
        self.table = QTableWidget(0, 2)
        self.table.setHorizontalHeaderLabels(("player", "score"))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.where = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        form = QFormLayout()
        form.addRow("Player", self.player)
        form.addRow("How", self.how)
        form.addRow("Image", self.image)
        buttons = QHBoxLayout()
        for button in (self.enter, export, other):
            buttons.addWidget(button)
        shown = QHBoxLayout()
        shown.addWidget(self.case, 1)
        shown.addWidget(self.metric, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addLayout(shown)
        layout.addWidget(self.table)
        layout.addWidget(self.where)

    def offer(self, result: Result | None, name: str, image: str) -> None:
        """What "Enter" would enter.

        Args:
            result: scores at hand.
            name: of the result, which describes it unless the user says more.
            image: a name, unless the user gives one.
        """
        if name != self._name:
            self.how.setText(name)
        if not self.image.isModified():
            self.image.setText(image)
        self._result, self._name = result, name
        self.enter.setEnabled(result is not None and bool(result.marks))

    def enter_scores(self) -> None:
        """Enter the scores at hand; other windows may have entered some meanwhile."""
        marks = {} if self._result is None else self._result.marks
        predicted = any(mark.low <= mark.high for mark in marks.values())
        player = ": ".join(x.strip() for x in (self.player.text(), self.how.text()) if x.strip())
        try:
            scores = HighScores.read(self.path).entered(
                f"{player} (predicted)" if predicted and player else player,
                self.image.text(),
                marks,
            )
            scores.write(self.path)
        except InputError as error:
            self.refused.emit(str(error))
            return
        self._show(scores, self.image.text())

    def load(self, path: Path | None = None) -> None:
        """Show the scores of a file, this one from now on."""
        try:
            scores = HighScores.read(path or self.path)
        except InputError as error:
            self.where.setText(str(error))
            self.refused.emit(str(error))
            return
        self.path = path or self.path
        self._show(scores)

    def export(self, path: Path) -> None:
        """Write the scores into another file."""
        try:
            self.scores.write(path)
        except InputError as error:
            self.refused.emit(str(error))

    def _show(self, scores: HighScores, case: str = "") -> None:
        self.scores = scores
        self.where.setText(
            f"{self.path}\nRank all images with intervals: segjax leaderboard FILE -o board/"
        )
        _refill(self.case, scores.cases, " ".join(case.split()))
        self._fill_metrics()

    def _fill_metrics(self) -> None:
        _refill(self.metric, self.scores.metrics(self.case.currentText()))
        self._fill_table()

    def _fill_table(self) -> None:
        standings = self.scores.standings(self.case.currentText(), self.metric.currentText())
        self.table.setRowCount(len(standings))
        for row, (player, score) in enumerate(standings):
            text = "\N{EN DASH}" if math.isnan(score) else f"{score:.4g}"
            for column, cell in enumerate((player, text)):
                self.table.setItem(row, column, QTableWidgetItem(cell))

    def _ask_export(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Export scores", "", _FILTER)
        if chosen:
            self.export(Path(chosen))

    def _ask_other(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self,
            "Scores from now on",
            str(self.path),
            _FILTER,
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if chosen:
            self.load(Path(chosen))


def _refill(box: QComboBox, texts: tuple[str, ...], chosen: str = "") -> None:
    """Offer other texts; what was chosen stays, unless something else is asked for."""
    chosen = chosen or box.currentText()
    before = box.blockSignals(True)
    box.clear()
    box.addItems(texts)
    box.setCurrentIndex(max(0, box.findText(chosen)))
    box.blockSignals(before)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
