"""The reference page of the configuration."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from darts_pl.cli import config_folder
from darts_pl.config import known_keys

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.mark.slow
def test_the_page_is_what_the_settings_and_the_files_in_conf_say() -> None:
    # In a process of its own, in which no other test has registered a component.
    code = "import runpy\nfrom tests.composition import quick_composition\nwith quick_composition():\n"
    code += "    runpy.run_module('darts_pl.tasks.declarations.reference', run_name='__main__')\n"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, check=True, capture_output=True, cwd=PAGE.parents[1]).stdout.decode("utf-8")
    assert PAGE.read_text(encoding="utf-8").splitlines() == printed.splitlines(), "run `make reference`"


def test_the_page_lists_every_key_and_every_group_file() -> None:
    text = PAGE.read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (\w+)$", text, re.MULTILINE))
    leaves = [key for key in known_keys() if not any(other.startswith(f"{key}.") for other in known_keys())]
    missing = [key for key in leaves if f"| `{key}` |" not in text and key not in sections]
    assert missing == []
    for file in config_folder().glob("*/*.yaml"):
        assert file.stem in text, file


def test_a_number_of_the_paper_stands_with_its_source() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for row in (
        "| `search.weights.lr` | `0.025` | section A.1.1 | cnn |",
        "| `search.units` | `300` | of embeddings and hidden state, section A.1.2 | rnn |",
        "| `order.radius` | `0.01` | eps = radius / \\|\\|v\\|\\|, section 2.3, footnote | second |",
        "| `order.radius` | float | above 0 | eps = radius / \\|\\|v\\|\\| of the central difference |",
        "| `train.nonmono` | `train.patience_epochs` |",
    ):
        assert row in text, row
