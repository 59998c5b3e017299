"""What only a GPU computes, run on the CPU beside the CPU's own form; and the comparison that finds wrong gradients."""

import pytest
import torch
from torch.nn.functional import conv2d

from benchmarks.workloads import cnn_search
from darts_pl.ops import cudnn
from darts_pl.ops.depthwise import DepthwiseConv2d

CASES = [(3, 1, 1), (3, 2, 1), (5, 1, 1), (5, 2, 1), (3, 1, 2), (3, 2, 2), (5, 1, 2), (5, 2, 2)]


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Operations take the form that they have on a GPU."""
    monkeypatch.setattr(cudnn, "on_gpu", lambda x: True)
    monkeypatch.setattr(cudnn, "_agrees", {})


@pytest.mark.parametrize("size", [(8, 8), (7, 5)], ids=str)
@pytest.mark.parametrize(("kernel", "stride", "dilation"), CASES)
def test_a_depthwise_convolution_is_torchs_with_its_gradients(as_on_a_gpu, kernel, stride, dilation, size):
    layer = DepthwiseConv2d(4, kernel, stride, dilation).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    plain = conv2d(x, layer.weight, None, stride, dilation * (kernel // 2), dilation, 4)
    ours = layer(x)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    upstream = torch.randn_like(plain)
    found, expected = (torch.autograd.grad(y, [x, layer.weight], upstream) for y in (ours, plain))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def stepped(monkeypatch, on_gpu, order):
    """Loss before and after a step, and the alphas and weights after it, in the form of a GPU or of the CPU."""
    monkeypatch.setattr(cudnn, "on_gpu", lambda x: on_gpu)
    monkeypatch.setattr(cudnn, "_agrees", {})
    torch.manual_seed(0)
    search = cnn_search(channels=3, layers=3, batch=4, side=8, both=False).ours
    losses = [search.loss()]
    search.step(order)
    return [*losses, search.loss()], [parameter.detach() for parameter in search.supernet.parameters()]


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_search_step_in_the_form_of_a_gpu_is_that_of_the_cpu(monkeypatch, order):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        (losses, ours), (expected, theirs) = (stepped(monkeypatch, form, order) for form in (True, False))
    finally:
        torch.set_default_dtype(before)
    assert losses == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)


def wrong_with_cudnn(x, factor):
    """Twice x, and with cuDNN `factor` times as much."""
    return 2 * x * (factor if torch.backends.cudnn.enabled else 1.0), None


@pytest.mark.filterwarnings("ignore:cuDNN")
@pytest.mark.parametrize(("factor", "right"), [(1.0, True), (1.001, True), (1.03, False)])
def test_wrong_gradients_of_cudnn_are_found_once_and_replaced(as_on_a_gpu, factor, right):
    x, calls = torch.ones(3), []

    def compute(x, factor):
        calls.append(torch.backends.cudnn.enabled)
        return wrong_with_cudnn(x, factor)

    for _ in range(2):
        found, nothing = cudnn.compared_once(compute, (x,), factor)
        torch.testing.assert_close(found, (2 * factor if right else 2.0) * x)
        assert nothing is None
    assert calls == [True, False, right]  # both once, then one of them
    assert torch.backends.cudnn.enabled


def test_wrong_gradients_are_told_once_per_shape(as_on_a_gpu):
    with pytest.warns(UserWarning, match="torch's own kernels are used instead"):
        cudnn.compared_once(wrong_with_cudnn, (torch.ones(3),), 2.0)
    cudnn.compared_once(wrong_with_cudnn, (torch.ones(3),), 2.0)
