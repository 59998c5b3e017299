"""Two processes score the valid split as one does, batch statistics, draws and an odd number of batches included."""

import pytest
import torch

from tests.distributed.score_worker import scores
from tests.distributed.test_ranks import launch


@pytest.mark.slow
def test_two_processes_score_as_one_on_batches_that_are_whole(tmp_path):
    status, said, _ = launch(tmp_path, worker="score_worker.py")
    assert status == 0, said
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first == second
    alone = scores(tmp_path, 1)
    assert first["validation"] == pytest.approx(alone["validation"], rel=1e-12)
    assert first["rule"] == [pytest.approx(one, rel=1e-12) for one in alone["rule"]]
    assert len({loss for loss, _ in alone["rule"]}) == 3
