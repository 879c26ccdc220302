"""The widget itself, offscreen."""

import importlib
import json
import time

import numpy as np
import pytest

import segjax
from tests.napari.scenes import squares


pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.components import ViewerModel
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from segjax.napari import samples
from segjax.napari.qt.widget import ScoreLabels
from segjax.napari.triage import KIND_COLOURS


class Stage:
    """A viewer with layers, the widget, and patience."""

    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot
        self.widget = ScoreLabels(viewer)

    def settle(self):
        self.qtbot.waitUntil(lambda: self.widget.settled, timeout=60_000)

    def text(self, metric, column=0):
        table = self.widget.table
        rows = [table.verticalHeaderItem(i).text() for i in range(table.rowCount())]
        return table.item(rows.index(metric), column).text()

    @property
    def said(self):
        return self.widget.message.text()

    def click(self, row):
        view = self.widget.objects.view
        view.clicked.emit(view.model().index(row, 0))


@pytest.fixture
def stage(qtbot):
    """Layers without a window: the model of a viewer needs no OpenGL."""
    stages = []

    def make(*results, reference=True, image=None, **given):
        viewer = ViewerModel()
        truth, result = squares()
        if image is not None:
            viewer.add_image(image, name="photo", **given)
        if reference:
            viewer.add_labels(truth, name="truth", **given)
        for i, data in enumerate(results or (result,)):
            viewer.add_labels(data, name=f"result {i}", **given)
        stages.append(Stage(viewer, qtbot))
        stages[-1].settle()
        return stages[-1]

    yield make
    for one in stages:
        one.settle()
        one.widget.close()
        one.widget.deleteLater()
    qtbot.wait(20)


def test_painting_changes_the_number_in_a_real_viewer(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    truth, result = squares()
    viewer.add_labels(truth, name="truth")
    layer = viewer.add_labels(result, name="result")
    _, widget = viewer.window.add_plugin_dock_widget("segjax", "Score labels")
    real = Stage.__new__(Stage)
    real.viewer, real.widget, real.qtbot = viewer, widget, qtbot
    real.settle()
    before = real.text("dice")
    layer.brush_size = 6
    layer.paint((4, 22), 5)  # over object 2, which was missed
    assert not widget.settled
    real.settle()
    after = real.text("dice")
    expected = segjax.evaluate(
        reference=truth, prediction=layer.data, metrics=["dice"], labels="foreground"
    )
    assert after == f"{expected['dice']:.3f}" != before
    layer.undo()
    real.settle()
    assert real.text("dice") == before
    layer.data = truth.copy()
    real.settle()
    assert real.text("dice") == "1.000"
    layer.scale = (2.0, 2.0)
    real.settle()
    assert "scale 1, 1 and 'result' 2, 2" in real.said


def test_a_dock_that_is_closed_leaves_the_viewer_alone(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    for data, name in zip(squares(), ("truth", "result"), strict=True):
        viewer.add_labels(data, name=name)
    dock, widget = viewer.window.add_plugin_dock_widget("segjax", "Score labels")
    qtbot.waitUntil(lambda: widget.settled, timeout=60_000)
    dock.setFloating(True)
    viewer.layers["result"].paint((0, 0), 3)
    assert not widget.settled  # a floating dock still scores
    viewer.window.remove_dock_widget(dock)
    qtbot.wait(50)
    viewer.layers["result"].paint((9, 9), 4)
    viewer.add_labels(squares()[0])
    widget.changed()
    assert not widget._timer.isActive()


def test_a_viewer_can_be_closed_while_labels_are_scored(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    layers = [viewer.add_labels(data) for data in squares()]
    viewer.window.add_plugin_dock_widget("segjax", "Score labels")
    qtbot.wait(150)
    layers[1].paint((0, 0), 3)
    viewer.close()
    qtbot.wait(300)
    layers[1].paint((9, 9), 4)


def test_the_manifest_offers_the_widget_and_the_samples():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("segjax")
    manifest.validate_imports()
    offered = manifest.contributions
    assert [w.display_name for w in offered.widgets] == ["Score labels"]
    assert "napari/layers/measure" in offered.menus
    commands = {command.id: command.python_name for command in offered.commands}
    for sample in offered.sample_data:
        module, _, name = commands[sample.command].partition(":")
        viewer = ViewerModel()
        for data, options, kind in getattr(importlib.import_module(module), name)():
            getattr(viewer, f"add_{kind}")(data, **options)
        kinds = [layer._type_string for layer in viewer.layers]
        assert kinds[0] == "image"
        assert kinds.count("labels") >= 2
        assert len({layer.data.shape for layer in viewer.layers}) == 1


def test_samples_open_in_the_widget_ready_to_compare(qtbot):
    viewer = ViewerModel()
    widget = ScoreLabels(viewer)
    for data, options, kind in samples.nuclei():
        getattr(viewer, f"add_{kind}")(data, **options)
    qtbot.waitUntil(lambda: widget.settled and widget.answer is not None, timeout=60_000)
    assert widget.layers.chosen_reference.name == "truth"
    assert list(widget.answer.results) == ["Otsu + watershed", "LoG + watershed"]
    assert widget.table.columnCount() == 2
    bold = [widget.table.item(2, column).font().bold() for column in range(2)]
    assert bold == [False, True]  # SEG: 0.572 and 0.588
    widget.close()


def test_every_result_has_a_column_and_the_objects_of_one_are_shown(stage):
    truth, result = squares()
    s = stage(result, truth)
    assert (s.text("dice", 1), s.text("pq", 1)) == ("1.000", "1.000")
    assert "1 missed" in s.widget.objects.counts.text().replace("&nbsp;", " ")
    s.widget.table.cellClicked.emit(0, 1)
    assert "0 missed" in s.widget.objects.counts.text().replace("&nbsp;", " ")
    s.widget.layers.tick(s.viewer.layers["result 1"], False)
    s.settle()
    assert s.widget.table.columnCount() == 1


def test_layers_that_come_and_go_and_get_other_names(stage):
    s = stage()
    truth, _ = squares()
    s.viewer.add_labels(truth, name="new")
    s.settle()
    assert s.widget.table.columnCount() == 2
    s.viewer.layers["new"].name = "<b>newer</b>"
    s.settle()
    assert s.widget.table.horizontalHeaderItem(1).text() == "<b>newer</b>"
    s.viewer.layers.remove("truth")
    s.settle()
    assert "choose a reference" in s.said
    assert s.widget.table.rowCount() == 0
    s.viewer.layers.clear()
    s.settle()
    assert "no result is ticked" in s.said


def test_a_result_may_become_the_reference(stage):
    truth, result = squares()
    s = stage(result, truth)
    s.widget.layers.reference.setCurrentText("result 0")
    s.settle()
    assert list(s.widget.answer.results) == ["result 1"]
    s.viewer.layers.remove("result 1")
    s.settle()
    assert "no result is ticked" in s.said


def test_layers_that_cannot_be_scored_say_why(stage):
    truth, result = squares()
    s = stage(result[:5], np.zeros_like(result))
    assert "result 0: reference and prediction must have the same shape" in s.said
    assert s.text("dice", 1) == "0.000"
    s.viewer.layers["truth"].data = np.zeros_like(truth)
    s.settle()
    assert "no objects yet" in s.said
    s = stage(result - 8)
    assert "negative label" in s.said


def test_a_click_goes_to_the_object(stage):
    s = stage(scale=(0.5, 2.0))
    s.click(0)  # object 2 of the reference, missed: rows 2 to 5, columns 20 to 23
    assert s.viewer.scene.camera.center[1:] == pytest.approx((3.5 * 0.5, 21.5 * 2.0))
    assert s.viewer.layers["truth"].selected_label == 2
    zoom = s.viewer.scene.camera.zoom
    s.viewer.reset_view()
    assert zoom > 1.5 * s.viewer.scene.camera.zoom


def test_next_worst_goes_round_and_survives_an_update(stage):
    s = stage()
    seen = []
    s.widget.objects.picked.connect(lambda row: seen.append(row))
    s.click(1)  # the spurious object 9
    s.viewer.layers["result 0"].data[0, 0] = 9
    s.viewer.layers["result 0"].refresh()
    s.settle()
    selected = s.widget.objects.view.selectionModel().selectedRows()
    assert [index.row() for index in selected] == [1]
    for _ in range(5):
        s.widget.objects.next_worst.click()
    table = s.widget.objects.model.table
    assert table.label[seen].tolist() == [9, 3, 4, 1, 2, 9]


def test_objects_in_volumes_are_gone_to_on_their_plane(stage):
    truth, result = (np.stack([0 * x, x, 0 * x]) for x in squares())
    viewer = ViewerModel()
    viewer.add_labels(truth, name="truth", scale=(3.0, 1.0, 1.0))
    viewer.add_labels(result, name="result", scale=(3.0, 1.0, 1.0))
    s = Stage(viewer, stage().qtbot)
    s.settle()
    s.click(0)
    assert viewer.dims.point[0] == 3.0
    assert viewer.scene.camera.center[1:] == pytest.approx((3.5, 21.5))
    s.widget.close()


def test_colours_follow_what_becomes_of_objects_and_go_back(stage):
    s = stage()
    truth, result = s.viewer.layers
    own = truth.colormap
    assert isinstance(own, CyclicLabelColormap)
    s.widget.objects.way.setCurrentIndex(2)
    colour = lambda layer, label: tuple((layer.get_color(label)[:3] * 255).round().astype(int))
    assert isinstance(result.colormap, DirectLabelColormap)
    assert colour(truth, 2) == KIND_COLOURS["missed"]
    assert colour(truth, 1) == colour(result, 7) == KIND_COLOURS["accurate"]
    assert colour(result, 8) == KIND_COLOURS["merged"]
    assert colour(result, 9) == KIND_COLOURS["spurious"]
    result.fill((29, 29), 0)  # the spurious one
    result.data_setitem(tuple(np.mgrid[2:6, 20:24].reshape(2, -1)), 2)
    s.settle()
    assert colour(truth, 2) == KIND_COLOURS["accurate"]
    s.widget.objects.way.setCurrentIndex(1)
    assert colour(truth, 2) != colour(truth, 3)
    s.widget.objects.way.setCurrentIndex(0)
    assert truth.colormap is own


def test_without_opengl_colours_stay_and_a_line_says_so(make_napari_viewer, qtbot):
    from napari._vispy.utils.gl import get_max_texture_sizes

    viewer = make_napari_viewer()
    if get_max_texture_sizes()[0] is not None:
        pytest.skip("this display has OpenGL")
    for data, name in zip(squares(), ("truth", "result"), strict=True):
        viewer.add_labels(data, name=name)
    widget = ScoreLabels(viewer)
    qtbot.addWidget(widget)
    qtbot.waitUntil(lambda: widget.settled, timeout=60_000)
    widget.objects.way.setCurrentIndex(1)
    assert "without OpenGL" in widget.message.text()
    assert isinstance(viewer.layers["truth"].colormap, CyclicLabelColormap)
    widget.close()


def test_metrics_are_found_added_and_tuned(stage):
    s = stage()
    picker = s.widget.metrics
    picker.search.setText("F-meas")
    assert not any("dice" == i.text() and not i.isHidden() for i in picker._items())
    picker.search.setText("nsd@2")
    picker.search.returnPressed.emit()
    s.settle()
    assert s.text("nsd(tolerance=2)")
    picker.tick("f1")
    loose = s.text("f1")
    picker.options.itemAt(1).widget().setValue(0.8)
    s.settle()
    reference, result = squares()
    strict = segjax.f1(reference=reference, prediction=result, threshold=0.8)
    assert s.text("f1(threshold=0.8)") == f"{strict:.3f}" != loose
    picker.search.setText("dise")
    picker.search.returnPressed.emit()
    assert "did you mean dice" in s.said


def test_only_annotated_objects_and_pieces_and_classes(stage):
    s = stage()
    s.widget.metrics.tick("spurious")
    s.settle()
    assert s.text("spurious") == "1"
    s.widget.layers.annotated_only.setChecked(True)
    s.settle()
    assert s.text("spurious") == "0"
    s.widget.layers.annotated_only.setChecked(False)
    s.viewer.layers["result 0"].data_setitem((np.array([31]), np.array([0])), 9)
    s.widget.layers.relabel.setChecked(True)
    s.settle()
    assert s.text("spurious") == "2"
    s.widget.layers.labels.setCurrentText("classes")
    s.settle()
    assert "class 9: 0.000" in s.widget.table.item(0, 0).toolTip()


def test_lengths_have_the_unit_of_the_layer(stage):
    s = stage(scale=(0.5, 0.5), units=("um", "um"))
    assert s.text("hausdorff(percentile=95)").endswith(" µm")


def test_without_a_reference_scores_are_predicted(stage):
    image, labels = (layer[0][:128, :128] for layer in (samples.nuclei()[i] for i in (0, 2)))
    s = stage(labels, image=image, reference=False)
    assert s.widget.layers.chosen_reference is None
    assert s.text("SEG") == f"{segjax.assess(image, labels).score:.3f}" + s.text("SEG")[5:]
    assert "predicted from the image" in s.said
    s.widget.high_scores.player.setText("ada")
    s.widget.high_scores.enter_scores()
    assert s.widget.high_scores.scores.players == ("ada: result 0 (predicted)",)


def test_high_scores_are_kept_and_make_a_leaderboard(stage, scores_file, tmp_path):
    from segjax.cli import main

    truth, result = squares()
    s = stage(result, truth)
    panel = s.widget.high_scores
    panel.player.setText("ada")
    for name in ("photo 1", "photo 2", "photo 3"):
        panel.image.setText(name)
        for column in range(2):
            s.widget.table.cellClicked.emit(0, column)
            panel.enter.click()
    assert [panel.table.item(i, 0).text() for i in range(2)] == ["ada: result 1", "ada: result 0"]
    dice = segjax.dice(reference=truth, prediction=result, labels="foreground")
    assert [panel.table.item(i, 1).text() for i in range(2)] == ["1", f"{dice:.4g}"]
    again = ScoreLabels(s.viewer)
    assert again.high_scores.scores == panel.scores
    again.close()
    panel.export(tmp_path / "export.csv")
    assert (tmp_path / "export.csv").read_bytes() == scores_file.read_bytes()
    board = tmp_path / "board"
    assert main(["leaderboard", str(scores_file), "-o", str(board), "--replicates", "200"]) == 0
    found = json.loads((board / "leaderboard.json").read_text())
    assert {model["name"] for model in found["models"]} == {"ada: result 0", "ada: result 1"}


def test_a_damaged_file_of_scores_is_told_and_left_alone(stage, scores_file):
    scores_file.parent.mkdir()
    scores_file.write_text("case,model\nx")
    s = stage()
    assert "high.csv" in s.widget.high_scores.where.text()
    s.widget.high_scores.enter_scores()
    assert "high.csv" in s.said
    assert scores_file.read_text() == "case,model\nx"


def test_a_failure_in_scoring_is_told_and_the_next_change_is_scored(stage, monkeypatch):
    import segjax.napari.qt.widget as module

    s = stage()
    asked = module.answer
    monkeypatch.setattr(module, "answer", lambda *_: 1 / 0)
    s.widget.changed()
    s.settle()
    assert "ZeroDivisionError" in s.said
    monkeypatch.setattr(module, "answer", asked)
    s.widget.changed()
    s.settle()
    assert s.said == ""
    assert s.text("dice")


def test_live_updates_leave_the_window_responsive_and_compile_nothing(stage):
    from segjax._compiling import counting_compilations

    rng = np.random.default_rng(0)
    truth = np.kron(np.arange(1, 65).reshape(8, 8), np.ones((64, 64), np.int32)).astype(np.int32)
    truth[::64] = truth[:, ::64] = 0
    s = stage(np.roll(truth, 3, axis=0))
    layer, truth_layer = s.viewer.layers["result 0"], s.viewer.layers["truth"]
    truth_layer.data = truth
    s.settle()
    # Time on the processor, so that other programs may be busy.
    beats, timer = [time.thread_time()], QTimer()
    timer.timeout.connect(lambda: beats.append(time.thread_time()))
    timer.start(1)
    with counting_compilations() as seen:
        for _ in range(20):
            while s.widget.settled:  # a stroke may change nothing
                layer.paint(tuple(rng.integers(0, 512, 2)), int(rng.integers(1, 65)))
            while not s.widget.settled:
                QApplication.processEvents()
    timer.stop()
    assert seen["programs"] == 0
    assert np.diff(beats).max() < 0.2  # some 0.03, most of it napari's
