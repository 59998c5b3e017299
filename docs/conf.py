"""How the site is built from this folder: `make docs`. Nothing is downloaded, neither now nor by a reader."""

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "_extensions")]
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # for the notebooks' kernel

project = "darts_pl"
author = "The darts_pl authors"
copyright = "the darts_pl authors"
version = release = importlib.import_module("darts_pl").__version__  # of this checkout, whatever is installed

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "mathml",
    "offline",
]
exclude_patterns = ["examples", "figures", "_extensions", "_static"]
nitpicky = False  # annotations name classes of torch, whose pages are not here

# Pages are Markdown as GitHub reads it. The only additions are the contents in index.md.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

# Notebooks run while the site is built; a cell that fails stops the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # for one cell, on a busy machine
nb_merge_streams = True

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
highlight_language = "text"  # what a program prints is no Python; blocks of code name their language
default_role = "code"  # docstrings mark code with single backticks, as Markdown does
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"darts_pl {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_search_scorer = str(Path(__file__).parent / "_extensions" / "scorer.js")
html_show_sourcelink = True
