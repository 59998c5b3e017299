"""How far a search moved, in the table of a protocol: measured from the entropy at which its method starts."""

import math
from pathlib import Path

import pytest

from darts_pl.spaces import build_space
from darts_pl.tasks.protocol.results import _entropy_fall
from tests.methods.test_contracts import config_of

#: By method, the entropy of equal mixing weights of the candidates of the last stage of a search with four candidates.
EQUAL = {
    "darts": math.log(4),
    "dr_nas": math.log(2),
    "fair_darts": 4 * math.log(2),  # four weights of 1/2 that do not compete
    "gdas": math.log(4),
    "p_darts": math.log(3),
}


@pytest.mark.parametrize("method", EQUAL)
def test_alphas_that_have_not_moved_have_not_fallen_and_half_of_the_entropy_is_half(
    method: str, tmp_path: Path
) -> None:
    config = config_of(method)
    cells = build_space("cnn", config.search.candidates, config.search.nodes)
    for entropy, fall in ((EQUAL[method], 0.0), (EQUAL[method] / 2, 0.5)):
        rows = ["search/entropy_normal,search/entropy_reduce", f"{entropy},{entropy}"]
        (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\n")
        assert _entropy_fall([tmp_path], cells, config) == pytest.approx(fall, abs=1e-6)
