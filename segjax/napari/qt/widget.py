"""The dock widget "Score labels"."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QLabel, QTabWidget, QVBoxLayout, QWidget

from segjax._compiling import keep_compiled
from segjax._errors import InputError
from segjax.napari.layers import question_of
from segjax.napari.live import Answer, Options, Question, Result, answer
from segjax.napari.navigation import go_to
from segjax.napari.pace import Pace
from segjax.napari.qt.high_score_panel import HighScorePanel
from segjax.napari.qt.layer_form import LayerForm
from segjax.napari.qt.metric_picker import MetricPicker
from segjax.napari.qt.object_panel import ObjectPanel
from segjax.napari.qt.painting import Paint
from segjax.napari.qt.score_table import ScoreTable


_PREDICTED = "Without a reference: scores are predicted from the image, with 90 % intervals."


class ScoreLabels(QWidget):
    """Scores label layers while they are painted.

    Args:
        napari_viewer: whose layers are scored.
    """

    _scored = Signal(object)

    def __init__(self, napari_viewer: Any):
        super().__init__()
        keep_compiled()
        self._viewer = napari_viewer
        self._pace, self._timer = Pace(), QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._tick)
        self.answer: Answer | None = None
        self._name = ""
        # One thread of our own: napari 0.9 keeps every worker, and with it the arrays.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="segjax")
        self._scored.connect(self._finished)
        self._open = True
        self.layers, self.metrics = LayerForm(napari_viewer), MetricPicker()
        self.table, self.objects, self.high_scores = ScoreTable(), ObjectPanel(), HighScorePanel()
        self.message = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.state = QLabel()
        self._paint = Paint()
        tabs = QTabWidget()
        tabs.addTab(self.objects, "Objects")
        tabs.addTab(self.metrics, "Metrics")
        tabs.addTab(self.high_scores, "High scores")
        layout = QVBoxLayout(self)
        layout.addWidget(self.layers)
        layout.addWidget(self.message)
        layout.addWidget(self.table, 4)
        layout.addWidget(self.state)
        layout.addWidget(tabs, 5)
        self.layers.changed.connect(self.changed)
        self.metrics.changed.connect(self.changed)
        for panel in (self.metrics, self.high_scores):
            panel.refused.connect(self.say)
        self.table.chosen.connect(self._turn_to)
        self.objects.picked.connect(self._go_to)
        self.objects.way_changed.connect(self._colour)
        shortcut = QShortcut(QKeySequence("Shift+N"), self)
        shortcut.setContext(Qt.ShortcutContext.ApplicationShortcut)
        shortcut.activated.connect(self.objects.go_on)
        form, thread = self.layers, self._thread
        self.destroyed.connect(lambda: (form.let_go(), thread.shutdown(wait=False)))
        self.high_scores.load()
        self.changed()

    @property
    def options(self) -> Options:
        """What the user has set."""
        form = self.layers
        return Options(
            metrics=self.metrics.metrics(),
            labels=form.labels.currentText(),
            annotated_only=form.annotated_only.isChecked(),
            relabel=form.relabel.isChecked(),
            surface=form.surface.currentText(),
        )

    @property
    def settled(self) -> bool:
        """Whether what is shown is of the layers as they are."""
        return self._pace.settled

    def say(self, text: str) -> None:
        """Show a message; none if it is empty."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def changed(self) -> None:
        """Score anew, soon."""
        if self._open:
            self._pace.changed(time.monotonic())
            self._arm()

    def let_go(self) -> None:
        """Leave the viewer and its layers as they were, for good."""
        self._open = False
        self._timer.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.layers.let_go()
        self._paint.restore()

    def closeEvent(self, event: Any) -> None:
        """Let go when the window closes."""
        self.let_go()
        super().closeEvent(event)

    def changeEvent(self, event: Any) -> None:
        """Let go when the dock is closed, which takes the widget out."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.let_go()
        super().changeEvent(event)

    # Asking.

    def _arm(self) -> None:
        wait = self._pace.wait(time.monotonic())
        if wait is not None:
            self._timer.start(round(1000 * wait))

    def _tick(self) -> None:
        wait = self._pace.wait(time.monotonic())
        if wait is None:
            return
        if wait > 0:
            self._arm()
            return
        self._pace.started()
        form = self.layers
        try:
            question = question_of(
                form.chosen_reference, form.chosen_results, form.chosen_image, self.options
            )
        except InputError as error:
            self._pace.finished()
            self._show(None)
            self.say(str(error))
            return
        self.state.setText("scoring...")
        self._ask(question)

    def _ask(self, question: Question) -> None:
        asked = self._thread.submit(answer, question, self.answer)
        asked.add_done_callback(self._tell)

    def _tell(self, asked: "Future[Answer]") -> None:
        """In the thread that scores; Qt brings the signal to that of the window."""
        with suppress(RuntimeError):  # the window may be gone
            self._scored.emit(asked)

    def _finished(self, asked: "Future[Answer]") -> None:
        self._pace.finished()
        if not self._open or asked.cancelled():
            return
        error = asked.exception()
        if error is not None:
            self._show(None)
            self.say(f"{type(error).__name__}: {error}")
        else:
            found = asked.result()
            if found is not self.answer:
                self._show(found)
            self.state.setText(f"scored in {found.seconds:.2f} s")
        self._arm()

    # Showing.

    def _show(self, found: Answer | None) -> None:
        self.answer = found
        if found is None or self._name not in found.results:
            self._name = "" if found is None else next(iter(found.results), "")
        self.say("" if found is None else _remarks(found))
        self.state.setText("")
        self._show_result()

    def _show_result(self) -> None:
        """Everything that is of the result at hand."""
        result, found = self._result, self.answer
        self.table.show_answer(found, self._name)
        unit = "" if found is None else found.question.unit
        self.objects.show_table(None if result is None else result.objects, unit)
        base = self.layers.chosen_image or self.layers.chosen_reference
        self.high_scores.offer(result, self._name, "" if base is None else base.name)
        self._colour()

    @property
    def _result(self) -> Result | None:
        return None if self.answer is None else self.answer.results.get(self._name)

    def _layer(self, reference: bool) -> Any:
        """The layer of the reference, or of the result at hand."""
        if reference:
            return self.layers.chosen_reference
        return next((x for x in self.layers.chosen_results if x.name == self._name), None)

    def _turn_to(self, name: str) -> None:
        self._name = name
        self._show_result()

    def _go_to(self, row: int) -> None:
        table = self.objects.model.table
        layer = None if table is None else self._layer(bool(table.in_reference[row]))
        if table is not None and layer is not None:
            go_to(self._viewer, layer, table, row)

    def _colour(self) -> None:
        table = None if self._result is None else self._result.objects
        layers = {side: self._layer(side) for side in (True, False)}
        if not self._paint.apply(layers, table, self.objects.way.currentData()):
            self.objects.way.setCurrentIndex(0)
            self.say("labels keep their colours: napari cannot draw others without OpenGL")


def _remarks(found: Answer) -> str:
    """What the user should know of each result, each remark once."""
    several = len(found.results) > 1
    lines: dict[str, list[str]] = {}
    if found.question.reference is None:
        lines[_PREDICTED] = list(found.results)
    for name, result in found.results.items():
        for text in filter(None, (result.problem, *result.notes)):
            lines.setdefault(text, []).append(name)
    return "\n".join(
        f"{', '.join(names)}: {text}" if several and len(names) < len(found.results) else text
        for text, names in lines.items()
    )
