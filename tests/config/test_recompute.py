"""Cells that are computed again do not go with what differentiates twice."""

import pytest

from darts_pl.cli import main


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["order=second_exact"], "order=second_exact, which differentiates twice: use order=first or order=second"),
        (["order=first", "+observers=[curvature]"], "the observer curvature, which differentiates twice"),
    ],
)
def test_what_differentiates_twice_is_refused_with_cells_that_are_computed_again(given, words, tmp_path, capsys):
    assert main(["data=digits", "search.recompute=true", *given, f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    assert words in capsys.readouterr().err
