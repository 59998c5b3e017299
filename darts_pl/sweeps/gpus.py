"""One GPU for each process of a sweep on one machine."""

from __future__ import annotations

import multiprocessing
import os
import re


def take_one() -> None:
    """Let this process see one GPU only, and each other process another one.

    joblib numbers its processes; otherwise all of them would use the first GPU. Nothing changes in a process without
    a number, or with at most one GPU.
    """
    numbered = re.fullmatch(r"LokyProcess-(\d+)", multiprocessing.current_process().name)
    if numbered is None:
        return
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = [str(index) for index in range(torch.cuda.device_count())] if given is None else given.split(",")
    if len(visible) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[(int(numbered.group(1)) - 1) % len(visible)]
