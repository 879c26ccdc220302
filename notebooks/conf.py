"""How `make docs` makes a book of README, notebooks, pages and docstrings."""

import os
import re
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import segjax


HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
generated_pages = import_module("generated_pages")
generated_pages.write(HERE / "generated")

project = "segjax"
author = copyright = "The segjax developers"
version = release = segjax.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["jupyter_execute", "**.ipynb_checkpoints"]
html_theme = "furo"
html_title = "segjax"
html_copy_source = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = os.environ.get("NOTEBOOK_CACHE", str(HERE.parent / "build" / "notebooks"))
nb_execution_timeout = 1800
nb_execution_raise_on_error = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
python_maximum_signature_line_length = 88
linkcheck_ignore = [r"https://doi\.org/.*"]  # publishers turn machines away


def setup(app):
    """Docstrings are plain text: formulas with bars in them, names in single backquotes."""
    app.connect("autodoc-process-docstring", _as_rst, priority=400)  # before napoleon's


def _as_rst(app, what, name, thing, options, lines):
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = line.split("`")
            parts[::2] = [re.sub(r"\||(?<!\*)\*(?=[a-z])", r"\\\g<0>", part) for part in parts[::2]]
            lines[i] = "``".join(parts)
    for i, (line, following) in enumerate(pairwise(lines)):
        if what == "module" and not line and following.startswith("    "):
            lines[i:i] = ["", "::"]  # how to use it, in a few lines
            break
