"""What a run imports, for the process from which `tests.forked` starts commands."""

import torch

import darts_pl.cli
import darts_pl.tasks

assert darts_pl.cli
assert darts_pl.tasks
torch.set_num_threads(1)  # the networks of the tests are tiny
