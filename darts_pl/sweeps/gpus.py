"""One GPU for each of the processes that share a machine."""

from __future__ import annotations

import multiprocessing
import os
import re


def take_one() -> None:
    """Let this process see one GPU only, the processes beside it the others in turn.

    joblib numbers its processes; without this the jobs of all of them would run on the first GPU. Nothing
    changes in a process that has no number, and where there is at most one GPU.
    """
    numbered = re.fullmatch(r"LokyProcess-(\d+)", multiprocessing.current_process().name)
    if numbered is None:
        return
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = [str(index) for index in range(torch.cuda.device_count())] if given is None else given.split(",")
    if len(visible) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[(int(numbered.group(1)) - 1) % len(visible)]
