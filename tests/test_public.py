"""What other people's code relies on."""

import ast
import doctest
import importlib
import inspect
import pkgutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import segjax
from segjax.metrics import METRICS


STUB = Path(segjax.__file__).with_suffix(".pyi")


def test_the_stub_names_every_metric_and_nothing_that_is_not_there():
    tree = ast.parse(STUB.read_text())
    functions = {n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)}
    assert functions == {m.function.__name__ for m in METRICS}
    names = {a.asname for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    for name in functions | (names - {None}):
        assert getattr(segjax, name) is not None
    assert functions <= set(dir(segjax))


def test_the_version_is_a_version():
    assert all(part.isdigit() for part in segjax.__version__.split("."))


def modules():
    found = [m.name for m in pkgutil.walk_packages(segjax.__path__, "segjax.")]
    left_out = ("segjax.__main__", *(() if find_spec("napari") else ("segjax.napari.qt.",)))
    return [importlib.import_module(name) for name in found if not name.startswith(left_out)]


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.__name__)
def test_public_functions_are_typed_and_documented(module):
    assert module.__doc__
    for name, thing in vars(module).items():
        own = getattr(thing, "__module__", None) == module.__name__
        if (
            name.startswith("_")
            or not own
            or not (inspect.isfunction(thing) or inspect.isclass(thing))
        ):
            continue
        assert inspect.getdoc(thing), name
        if inspect.isfunction(thing):
            signature = inspect.signature(thing)
            assert signature.return_annotation is not inspect.Signature.empty, name
            for parameter in signature.parameters.values():
                assert parameter.annotation is not inspect.Parameter.empty, (name, parameter)


def test_a_metric_explains_itself_like_any_function():
    assert "2 TP" in (segjax.dice.__doc__ or "")
    assert segjax.dice.__name__ == "dice"
    assert doctest.DocTestParser().get_examples(inspect.getdoc(segjax.evaluate) or "")
    with pytest.raises(AttributeError, match="did you mean dice"):
        segjax.dise  # noqa: B018
