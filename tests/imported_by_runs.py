"""What a run imports, for the process from which `tests.forked` starts commands."""

import torch

from darts_pl import cli, tasks

__all__ = ["cli", "tasks"]

torch.set_num_threads(1)  # the networks of the tests are tiny
