"""Compiled parts of a network: the same steps as without, to 1e-7 in float64, by the library and some as C++."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from benchmarks.ours import OurSearch, OurTraining
from benchmarks.recipes import CLASSIFIER, CNN_SEARCH, LANGUAGE_MODEL, RNN_SEARCH
from benchmarks.workloads import RNN_CANDIDATES, SEARCH_DROPOUTS, TRAINING_DROPOUTS, images, language_loss, words
from darts_pl.spaces import (
    Classifier,
    CnnSupernet,
    LanguageModel,
    NasBench201Network,
    NasBench201Supernet,
    RnnSupernet,
    build_space,
    compiled,
)
from darts_pl.zoo import published
from tests.compilers import needs_compiler

CNN_CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "dil_conv_5x5")
#: What torch.compile translates a graph to: the library's operations again, or C++.
LIBRARY, CPP = "aot_eager", "inductor"
slow = pytest.mark.slow
#: torch hides this warning where it looks at inputs, but not from a filter that makes errors of warnings.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture(autouse=True)
def double():
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(default)


def convolutional(nodes=2):
    sizes = {"init_channels": 2, "layers": 2, "reductions": [1], "classes": 10, "alpha_scale": 0.1}
    return CnnSupernet(build_space("cnn", CNN_CANDIDATES, nodes), **sizes)


def one_node():
    """Of which C++ is compiled in a minute instead of five."""
    return convolutional(nodes=1)


def nasbench201():
    space = build_space("nasbench201", ("none", "skip_connect", "nor_conv_3x3"), 2)
    return NasBench201Supernet(space, channels=2, cells=1, classes=10, alpha_scale=0.1)


def recurrent():
    space = build_space("rnn", RNN_CANDIDATES, 3)
    return RnnSupernet(space, vocabulary=7, units=4, dropouts=SEARCH_DROPOUTS, alpha_scale=0.1, slowness=1e-3)


def classifier():
    network = Classifier(published("darts_v2"), init_channels=2, layers=3, classes=10)
    network.drop_path = 0.2
    return network


def final_nasbench201():
    return NasBench201Network((1, 3, 4, 2, 0, 3), channels=2, cells=1, classes=10)


def language_model():
    return LanguageModel(published("darts_v2_rnn"), vocabulary=7, units=4, dropouts=TRAINING_DROPOUTS)


def steps_of(network, kind):
    """One step of each order of a search of that network, or two steps of its training."""
    on_text = kind in (recurrent, language_model)
    torch.manual_seed(1)
    batches = [words(3, 4, 7, "cpu") if on_text else images(4, 8, "cpu") for _ in range(2)]
    if kind in (convolutional, one_node, nasbench201, recurrent):
        search = OurSearch(network, *batches, RNN_SEARCH if on_text else CNN_SEARCH)
        return [lambda order=order: search.step(order) for order in ("first", "second", "second")]
    if on_text:
        training = OurTraining(network, batches[0], LANGUAGE_MODEL, language_loss)
    else:
        training = OurTraining(
            network, batches[0], CLASSIFIER, lambda one, batch: cross_entropy(one(batch[0]), batch[1])
        )
    return [training.step] * 2


@pytest.mark.parametrize(
    ("kind", "backend"),
    [
        (language_model, LIBRARY),  # the others take longer
        *(
            pytest.param(kind, LIBRARY, marks=slow)
            for kind in (convolutional, nasbench201, recurrent, classifier, final_nasbench201)
        ),
        # tests/tasks/test_compile.py has whole trainings of a classifier and of a language model as C++.
        *(
            pytest.param(kind, CPP, marks=[slow, needs_compiler])
            for kind in (one_node, nasbench201, recurrent, final_nasbench201)
        ),
    ],
)
def test_compiled_parts_take_the_same_steps(kind, backend, monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", backend)
    torch.manual_seed(0)
    plain = kind().train()
    other = copy.deepcopy(plain)
    assert compiled.use_compiled(other, True) > 0
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for one, another in zip(steps_of(plain, kind), steps_of(other, kind), strict=True):
        one()
        another()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before  # something was compiled
    assert not torch._dynamo.utils.counters["graph_break"]
    expected, found = plain.state_dict(), other.state_dict()
    assert list(found) == list(expected)  # no name tells of the compiler
    for name, values in expected.items():
        torch.testing.assert_close(
            found[name], values, rtol=1e-7, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


@slow
def test_a_compiled_depthwise_convolution_calls_the_fast_gradients(monkeypatch):
    from darts_pl.ops import opaque
    from darts_pl.ops.depthwise import DepthwiseConv2d

    calls, gradient = [], opaque.depthwise_gradient
    monkeypatch.setattr(opaque, "depthwise_gradient", lambda *given: calls.append(given[3:5]) or gradient(*given))
    torch.manual_seed(0)
    plain = DepthwiseConv2d(4, 5, stride=1, dilation=2)
    x = torch.randn(2, 4, 7, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = torch.nn.functional.conv2d(x, plain.weight, None, 1, 4, 2, 4)  # the library's
    towards = torch.randn_like(out)
    expected = torch.autograd.grad(out, [x, plain.weight], towards)
    traced = torch.compile(plain, backend=LIBRARY, fullgraph=True)
    torch.testing.assert_close(traced(x), out)
    torch.testing.assert_close(torch.autograd.grad(traced(x), [x, plain.weight], towards), expected)
    assert calls == [(1, 2)]
    torch.library.opcheck(torch.ops.darts_pl.depthwise.default, (x, plain.weight, 1, 2))
    torch.library.opcheck(
        torch.ops.darts_pl.depthwise_backward.default,
        (towards, x.detach(), plain.weight.detach(), 1, 2, True, False),
        test_utils=("test_schema", "test_faketensor"),
    )


def test_a_pass_that_is_not_training_or_leaves_out_candidates_is_not_compiled(monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "no such backend")
    supernet = convolutional()
    compiled.use_compiled(supernet, True)
    batch = images(2, 8, "cpu")
    with torch.no_grad():
        supernet.train().loss(batch, supernet.mixing())
    supernet.eval().loss(batch, supernet.mixing())
    live = [[name == "skip_connect" for name in CNN_CANDIDATES]] * 5
    some = {name: mixing._replace(alive=tuple(map(tuple, live))) for name, mixing in supernet.mixing().items()}
    supernet.train().loss(batch, some)
    with pytest.raises(Exception, match="no such backend"):
        supernet.train().loss(batch, supernet.mixing())
