"""On a GPU: the same searches as on the CPU, in float32 and in bfloat16, one process on NCCL, and no waits."""

import os

import pytest
import torch
from torch import distributed

from benchmarks.workloads import cnn_search, rnn_search
from darts_pl.bilevel import full_precision, reduced_precision

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible"),
]

SEARCHES = {
    "cnn": lambda device: cnn_search(device, channels=4, layers=3, batch=8, side=16, both=False).ours,
    "rnn": lambda device: rnn_search(device, units=20, vocabulary=50, batch=8, length=9, both=False).ours,
}


@pytest.fixture(autouse=True)
def _full_float32():
    with full_precision("cuda"):
        assert reduced_precision() == {}
        yield


@pytest.fixture(params=SEARCHES)
def make(request):
    return SEARCHES[request.param]


def without_masks(search):
    """The CPU and the GPU draw other dropout masks: none are drawn."""
    network = getattr(search.supernet, "network", None)
    if network is not None:
        network.dropouts = type(network.dropouts)()
        network.cell.dropouth = network.cell.dropoutx = 0.0
    return search


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_search_takes_the_steps_of_the_cpu(make, order):
    torch.manual_seed(0)
    on_cpu = without_masks(make("cpu"))
    torch.manual_seed(0)
    on_gpu = without_masks(make("cuda"))
    for _ in range(3):
        assert on_gpu.loss() == pytest.approx(on_cpu.loss(), rel=1e-3)
        on_cpu.step(order)
        on_gpu.step(order)
    for one, other in zip(
        on_gpu.supernet.architecture().values(), on_cpu.supernet.architecture().values(), strict=True
    ):
        # Adam's first steps have the size of its learning rate, whatever the gradient's size is.
        assert (one.detach().cpu() - other.detach()).abs().mean() < 0.1 * 3 * on_cpu.recipe.alpha_lr


def test_a_search_in_bfloat16_is_near_that_in_float32(make):
    torch.manual_seed(0)
    exact = make("cuda")
    torch.manual_seed(0)
    low = make("cuda")
    for _ in range(3):
        exact.step("first")
        with torch.autocast("cuda", torch.bfloat16):
            low.step("first")
    with torch.autocast("cuda", torch.bfloat16):
        loss = low.loss()
    assert loss == pytest.approx(exact.loss(), rel=0.05)


# torch warns, once per process, that its mode does not find every wait.
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("order", ["first", "second"])
def test_a_search_step_does_not_wait_for_the_device(make, order):
    search = make("cuda")
    for _ in range(2):  # the first ones allocate, choose algorithms and compare gradients
        search.step(order)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        search.step(order)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_one_process_on_nccl_has_the_mean_of_itself(tmp_path):
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    distributed.init_process_group("nccl", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        values = torch.arange(5.0, device="cuda")
        distributed.all_reduce(values)
        assert values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    finally:
        distributed.destroy_process_group()
