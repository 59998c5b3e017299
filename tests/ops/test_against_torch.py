"""Each built-in operation against plain torch layers, or against its definition written out."""

import pytest
import torch
from torch import nn

from darts_pl.ops import BatchNorm, FactorizedReduce, ReLUConvBN, build, build_edges

C = 4


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def depthwise(kernel, stride=1, dilation=1):
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(C, C, kernel, stride, padding, dilation, groups=C, bias=False)


def pointwise():
    return nn.Conv2d(C, C, 1, bias=False)


def norm(affine):
    return nn.BatchNorm2d(C, affine=affine)


def separable(kernel, stride, affine):
    return nn.Sequential(
        nn.ReLU(),
        depthwise(kernel, stride),
        pointwise(),
        norm(affine),
        nn.ReLU(),
        depthwise(kernel),
        pointwise(),
        norm(affine),
    )


def dilated_twice(kernel, stride, affine):
    first = [nn.ReLU(), depthwise(kernel, stride, dilation=2), pointwise(), norm(affine)]
    return nn.Sequential(*first, nn.ReLU(), depthwise(kernel, 1, dilation=2), pointwise(), norm(affine))


def dilated(kernel, stride, affine):
    return nn.Sequential(nn.ReLU(), depthwise(kernel, stride, dilation=2), pointwise(), norm(affine))


def crossed(kernel, stride, affine):
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(C, C, (1, kernel), stride=(1, stride), padding=(0, kernel // 2), bias=False),
        nn.Conv2d(C, C, (kernel, 1), stride=(stride, 1), padding=(kernel // 2, 0), bias=False),
        norm(affine),
    )


def dense(kernel, stride, affine):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(C, C, kernel, stride, kernel // 2, bias=False), norm(affine))


LAYERS = {
    "sep_conv_3x3": (separable, 3),
    "sep_conv_5x5": (separable, 5),
    "sep_conv_7x7": (separable, 7),
    "dil_conv_3x3": (dilated, 3),
    "dil_conv_5x5": (dilated, 5),
    "dil_sep_conv_5x5": (dilated_twice, 5),
    "conv_7x1_1x7": (crossed, 7),
    "conv_3x1_1x3": (crossed, 3),
    "conv_1x1": (dense, 1),
    "conv_3x3": (dense, 3),
    "nor_conv_1x1": (dense, 1),
    "nor_conv_3x3": (dense, 3),
}


@pytest.mark.parametrize("affine", [True, False], ids=["final", "search"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_a_convolution_is_the_plain_torch_layers_of_the_recorded_layout(name, stride, affine):
    build_layers, kernel = LAYERS[name]
    expected = build_layers(kernel, stride, affine).double()
    operation = (build(name, C, stride) if affine else build_edges(name, C, stride, 1)).double()
    state = {f"op.{key}": values for key, values in expected.state_dict().items() if key in operation.op.state_dict()}
    operation.load_state_dict(state)
    assert sum(p.numel() for p in operation.parameters()) == sum(p.numel() for p in expected.parameters())
    x = torch.randn(3, C, 9, 8, dtype=torch.float64)
    close(operation(x), expected(x))
    close(operation.eval()(x), expected.eval()(x))  # the running statistics moved alike


def windows(x, stride, outside):
    """All 3x3 windows of a padded map, [B, C, 9, H', W']."""
    padded = nn.functional.pad(x, (1, 1, 1, 1), value=outside)
    height, width = x.shape[-2:]
    return torch.stack(
        [
            padded[:, :, row : row + height : stride, column : column + width : stride]
            for row in range(3)
            for column in range(3)
        ],
        dim=2,
    )


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_average_pooling_divides_by_the_pixels_that_exist(stride, size):
    x = torch.randn(2, C, *size, dtype=torch.float64)
    counts = windows(torch.ones_like(x), stride, 0).sum(2)
    assert set(counts.unique().tolist()) <= {4, 6, 9}
    assert counts.min() == 4
    close(build("avg_pool_3x3", C, stride)(x), windows(x, stride, 0).sum(2) / counts)


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_max_pooling_takes_the_largest_pixel_that_exists(stride, size):
    x = torch.randn(2, C, *size, dtype=torch.float64) - 5  # a padding of zeros would win
    close(build("max_pool_3x3", C, stride)(x), windows(x, stride, -torch.inf).amax(2))


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 4)])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_small_max_pooling_looks_to_the_right_and_below(stride, size):
    x = torch.randn(2, C, *size, dtype=torch.float64) - 5
    padded = nn.functional.pad(x, (0, 1, 0, 1), value=-torch.inf)
    corners = [padded[:, :, row : row + size[0], column : column + size[1]] for row in (0, 1) for column in (0, 1)]
    close(build("max_pool_2x2", C, stride)(x), torch.stack(corners).amax(0)[:, :, ::stride, ::stride])


@pytest.mark.parametrize("stride", [1, 2])
def test_none_of_a_published_cell_gives_zeros_and_a_gradient_of_zero(stride):
    x = torch.randn(2, C, 5, 4, requires_grad=True)
    out = build("none", C, stride)(x)
    assert torch.equal(out, torch.zeros(2, C, -(-5 // stride), 4 // stride))
    out.sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("name", ["max_pool_3x3", "avg_pool_3x3", "max_pool_2x2"])
def test_pooling_is_normalised_in_a_search_and_bare_in_a_final_network(name):
    x = torch.randn(4, C, 8, 8)
    bare = build(name, C, 1)(x)
    normalised = build_edges(name, C, 1, 3)(x)
    mean, variance = bare.mean((0, 2, 3), keepdim=True), bare.var((0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(normalised, (bare - mean) / (variance + 1e-5).sqrt())


@pytest.mark.parametrize("stride", [1, 2])
def test_the_plain_average_pooling_is_bare_in_a_search_and_in_a_final_network(stride):
    x = torch.randn(4, C, 8, 7)
    bare = build("avg_pool_3x3", C, stride)(x)
    assert torch.equal(build("avg_pool_3x3_plain", C, stride)(x), bare)
    assert torch.equal(build_edges("avg_pool_3x3_plain", C, stride, 3)(x), bare)


def test_skipping_at_stride_1_is_the_input_itself():
    x = torch.randn(2, C, 5, 5)
    assert build("skip_connect", C, 1)(x) is x
    assert not list(build_edges("skip_connect", C, 1, 3).parameters())


def reduced(x, first, second, affine):
    """By definition: conv_1 of x, conv_2 of x shifted by one row and one column, concatenated, BN.

    A 1x1 convolution with stride 2 is a matrix on every second pixel; beyond an odd map lie zeros.
    """
    x = x.relu()
    rows, columns = (x.shape[2] + 1) // 2, (x.shape[3] + 1) // 2
    shifted = torch.zeros(*x.shape[:2], rows, columns, dtype=x.dtype)
    odd = x[:, :, 1::2, 1::2]
    shifted[:, :, : odd.shape[2], : odd.shape[3]] = odd
    halves = [
        torch.einsum("oi,bihw->bohw", weight[:, :, 0, 0], pixels)
        for weight, pixels in ((first, x[:, :, ::2, ::2]), (second, shifted))
    ]
    maps = torch.cat(halves, dim=1)
    mean, variance = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), keepdim=True, correction=0)
    normalised = (maps - mean) / (variance + 1e-5).sqrt()
    return normalised * affine[0].view(1, -1, 1, 1) + affine[1].view(1, -1, 1, 1)


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (8, 5), (5, 8), (1, 1)])
@pytest.mark.parametrize("channels", [(4, 4), (3, 6), (6, 5)])
def test_the_factorized_reduce_is_its_formula_on_even_and_odd_maps(size, channels):
    module = FactorizedReduce(*channels, affine=True).double()
    nn.init.normal_(module.bn.weight)
    nn.init.normal_(module.bn.bias)
    x = torch.randn(3, channels[0], *size, dtype=torch.float64)
    expected = reduced(x, module.conv_1.weight, module.conv_2.weight, (module.bn.weight, module.bn.bias))
    close(module(x), expected)


def test_skipping_at_stride_2_is_the_factorized_reduce_on_each_edge():
    operation = build_edges("skip_connect", C, 2, 3).double()
    x = torch.randn(3, C, 7, 8, dtype=torch.float64)
    first, second = (conv.weight.chunk(3) for conv in (operation.conv_1, operation.conv_2))
    unit = (torch.ones(C, dtype=torch.float64), torch.zeros(C, dtype=torch.float64))
    close(operation(x), torch.cat([reduced(x, first[edge], second[edge], unit) for edge in range(3)], dim=1))


@pytest.mark.parametrize("affine", [True, False])
def test_a_cells_input_goes_through_relu_convolution_and_normalisation(affine):
    module = ReLUConvBN(3, C, affine).double()
    plain = nn.Sequential(nn.ReLU(), nn.Conv2d(3, C, 1, bias=False), nn.BatchNorm2d(C, affine=affine)).double()
    module.op.load_state_dict({k: v for k, v in plain.state_dict().items() if k in module.op.state_dict()})
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    close(module(x), plain(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("affine", [True, False])
def test_one_expanded_edge_as_a_scale_gives_the_gradients_of_the_written_out_formula(affine, training, dtype):
    norm = BatchNorm(C, affine).to(dtype).train(training)
    nn.init.uniform_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    start = norm.running_mean.clone(), norm.running_var.clone()
    x = torch.randn(4, C, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.tensor([0.7], dtype=dtype).requires_grad_()
    scale = weight.expand(C)
    assert scale.stride() == (0,)
    found = norm(x, scale)
    if training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    else:
        mean, variance = start
    expected = weight * (x - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + 1e-5).sqrt()
    torch.testing.assert_close(found, expected)
    cotangent = torch.randn_like(x)
    for one, other in zip(
        torch.autograd.grad(found, [x, weight], cotangent),
        torch.autograd.grad(expected, [x, weight], cotangent),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_a_plain_dict_of_tensors_loads_into_a_normalisation_without_affine_part():
    norm, other = BatchNorm(C, affine=False), BatchNorm(C, affine=False)
    norm(torch.randn(4, C, 3, 3))
    other.load_state_dict({name: values.clone() for name, values in norm.state_dict().items()})
    plain = nn.BatchNorm2d(C, affine=False)
    plain.load_state_dict({**other.state_dict(), "num_batches_tracked": torch.tensor(1)})
    x = torch.randn(4, C, 3, 3)
    assert torch.equal(other.eval()(x), plain.eval()(x))
