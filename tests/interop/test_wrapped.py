"""State dicts inside checkpoints, behind the prefixes of wrappers, beside what profilers leave."""

import copy
import logging

import pytest
import torch
from torch import nn

from darts_pl import interop
from darts_pl.errors import UserError
from darts_pl.spaces import CnnSupernet, RnnSupernet, build_space


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "network.",
        "ema.",
        "module.module.",
        "_orig_mod.module.",
        "module._orig_mod.",
        "model.net._orig_mod.",
        "net.model.module.model.",
        "_fsdp_wrapped_module.",
        "student.",
        "trainer.backbone.module.",
    ],
)
def test_the_prefixes_of_wrappers_are_removed(case, prefix, saved):
    assert case.loads(saved({prefix + name: value for name, value in case.state.items()}))


@pytest.mark.parametrize("held", ["classifier", "encoder", "stem", "cell"])
def test_a_wrapper_may_hold_the_network_under_the_name_of_one_of_its_parts(case, held, saved):
    assert case.loads(saved({f"{held}.{name}": value for name, value in case.state.items()}))


@pytest.mark.parametrize("wrapper", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"])
@pytest.mark.parametrize("part", ["cells.1.", "cells.", "stem."])
def test_the_names_of_wrapped_parts_are_restored(images, wrapper, part, saved):
    state = {
        name.replace(part, f"{part}{wrapper}.", 1) if name.startswith(part) else name: value
        for name, value in images.state.items()
    }
    assert state.keys() != images.state.keys()
    assert images.loads(saved(state))


def test_names_come_from_torchs_own_wrappers():
    class Holder(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

    inner = nn.ModuleDict({"stem": nn.Sequential(nn.Conv2d(3, 6, 3)), "classifier": nn.Linear(2, 2)})
    averaged = torch.optim.swa_utils.AveragedModel(inner)
    for wrapped in (
        nn.DataParallel(inner),
        torch.compile(inner),
        Holder(torch.compile(nn.DataParallel(inner))),
        averaged,
    ):
        found = interop.unwrap(wrapped.state_dict())
        assert found.keys() == inner.state_dict().keys()
        assert all(torch.equal(found[name], value) for name, value in inner.state_dict().items())


@pytest.mark.parametrize(
    "keys",
    [
        ("state_dict",),
        ("model_state_dict",),
        ("model",),
        ("ema",),
        ("network",),
        ("model", "state_dict"),
        ("state_dict", "model"),
        ("ema", "model", "state_dict"),
        ("ema", "shadow"),
        ("checkpoint", "network"),
        ("net",),
    ],
)
def test_the_state_dict_is_found_under_the_usual_keys(case, keys, saved):
    found = {f"module.{name}": value for name, value in case.state.items()}
    for key in reversed(keys):
        found = {"epoch": 7, "best": 0.5, key: found, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}
    assert case.loads(saved(found))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_the_checkpoint_of_a_training_that_diverged_is_refused_with_the_tensor(case, saved, value):
    name = next(name for name, tensor in case.state.items() if tensor.dim() > 1)
    spoilt = case.state[name].clone()
    spoilt.view(-1)[-1] = value
    message = case.message(saved({**case.state, name: spoilt}))
    assert f"the checkpoint's tensor '{name}' holds NaN or infinite values: its training diverged" in message


def test_the_first_of_two_state_dicts_is_taken_and_the_other_is_named(case, saved, caplog):
    other = {name: value + 1 for name, value in case.state.items()}
    for found, taken, left in (
        ({"ema": other, "state_dict": case.state}, "state_dict", "ema"),
        ({"ema": other, "model": case.state}, "model", "ema"),
        ({"network": {"state_dict": other}, "ema": case.state}, "ema", "network.state_dict"),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert case.loads(saved(found))
        assert f"{taken} is used, not {left}" in caplog.text


def test_two_networks_in_one_state_dict_are_refused_and_one_twice_is_not(case, saved):
    doubled = {f"{prefix}{name}": value for prefix in ("model.", "ema.") for name, value in case.state.items()}
    assert case.loads(saved(doubled))
    doubled |= {name: value + 1 for name, value in doubled.items() if name.startswith("ema.")}
    assert "holds two networks" in case.message(saved(doubled))


def profiled(state, *names):
    """The state dict with a counter in every module, as thop leaves them."""
    modules = {""} | {name[: place + 1] for name in state for place, letter in enumerate(name) if letter == "."}
    return state | {module + name: torch.zeros(1, dtype=torch.float64) for module in modules for name in names}


@pytest.mark.parametrize("names", [("total_ops", "total_params"), ("total_ops",), ("total_params", "n_averaged")])
@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod."])
def test_the_counters_of_profilers_are_passed_over_wherever_they_are(case, names, prefix, saved):
    state = profiled({prefix + name: value for name, value in case.state.items()}, *names)
    assert len(state) > len(case.state) + 5
    assert case.loads(saved({"state_dict": state}))


@pytest.mark.parametrize(
    "name",
    [
        "alphas_normal",
        "alphas.reduce",
        "_arch_parameters.0",
        "betas_normal",
        "log_alpha",
        "arch_weights",
        "cells.1.alphas",
        "weights",
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_architecture_parameters_beside_a_final_network_are_passed_over(case, name, prefix, saved):
    state = {prefix + key: value for key, value in case.state.items()}
    assert case.loads(saved(state | {prefix + name: torch.randn(14, 8)}))


def test_a_tensor_of_an_operation_may_be_called_alpha():
    names = ["cells.0._ops.1.alpha", "cells.0._ops.1.module.weight", "cells.0._ops.2.op.beta"]
    assert list(interop.unwrap(dict.fromkeys(names, torch.ones(1)))) == names


def test_search_networks_are_found_and_named_the_same_way():
    image_space = build_space("cnn", ("none", "conv_7x1_1x7", "skip_connect"), 2)
    net = CnnSupernet(image_space, init_channels=2, layers=3, classes=3)
    other = CnnSupernet(image_space, init_channels=2, layers=3, classes=3)
    exported = interop.export_supernet(net, net.state_dict())
    words_space = build_space("rnn", ("none", "tanh", "relu"), 2)
    rnn, rnn_other = (RnnSupernet(words_space, vocabulary=5, units=3) for _ in range(2))
    for wrap in (
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {f"_orig_mod.model.{name}": value for name, value in profiled(state, "total_ops").items()},
        lambda state: {"epoch": 1, "ema": {"state_dict": state | {"alphas_normal": torch.ones(5, 3)}}},
    ):
        interop.load(other, interop.import_supernet(other, wrap(exported)))
        interop.load(rnn_other, interop.import_recurrent(rnn_other, wrap(interop.export_recurrent(rnn.state_dict()))))
        for one, two in ((net, other), (rnn, rnn_other)):
            state = two.state_dict()
            assert all(torch.equal(state[n], v) for n, v in one.state_dict().items() if not n.startswith("arch."))
            with torch.no_grad():
                for value in two.parameters():
                    value.zero_()
    ours = copy.deepcopy(rnn.state_dict())  # a run's own names, as Lightning keeps them
    interop.load(rnn_other, interop.import_recurrent(rnn_other, {f"supernet.{n}": v for n, v in ours.items()}))
    assert torch.equal(rnn_other.network.words.weight, rnn.network.words.weight)


@pytest.mark.parametrize("kept", ["encoder.weight", "decoder.weight"])
def test_one_name_of_the_matrix_that_encoder_and_decoder_share_is_enough(words, kept, saved):
    dropped = {"encoder.weight", "decoder.weight"} - {kept}
    assert words.loads(saved({name: value for name, value in words.state.items() if name not in dropped}))


def test_what_is_left_over_is_listed_shortened_with_what_was_expected(images, words, saved):
    extra = {f"head.{i}.weight": torch.ones(2) for i in range(12)}
    message = images.message(saved(images.state | extra))
    assert "unexpected 'head.0.weight', 'head.1.weight', 'head.2.weight' and" not in message
    assert "unexpected 'head.0.weight', 'head.1.weight', 'head.2.weight' (12 in all)" in message
    assert f"expected only the {len(images.state)} tensors of this network, such as 'stem.0.weight'" in message
    message = images.message(saved(images.state | {"classifier.weight": torch.ones(3, 5)}))
    assert "of another shape 'classifier.weight' (1 in all): [3, 5] instead of [3, 16]" in message
    message = images.message(saved(images.state | {"stem.1.weight": torch.ones(6, dtype=torch.int64)}))
    assert "of another type 'stem.1.weight' (1 in all): torch.int64 instead of torch.float32" in message
    renamed = {name.replace("_ops.0.op", "_ops.0.body"): value for name, value in images.state.items()}
    message = images.message(saved(renamed))
    assert "missing 'cells.0._ops.0.op.1.weight'" in message
    assert "unexpected 'cells.0._ops.0.body.1.weight'" in message
    assert "give the genotype" in message
    message = words.message(saved(words.state | {"x" * 300: torch.ones(2)}))
    assert len(message) < 500


def test_a_checkpoint_of_something_else_is_refused_with_what_it_holds_and_what_was_expected(images, words, saved):
    other = {f"layer{i}.conv.weight": torch.ones(1) for i in range(9)}
    message = images.message(saved(other))
    assert "'stem.0.weight' is missing" in message
    assert "found 'layer0.conv.weight', 'layer1.conv.weight', 'layer2.conv.weight' and 6 more" in message
    assert "'encoder.weight' of shape [words, units] is missing; found 'layer0" in words.message(saved(other))
    message = images.message(saved({"epoch": 3, "optimizer": {"lr": 1.0}}))
    assert "holds no state dict, but 'epoch', 'optimizer'; expected" in message
    assert "model_state_dict" in message
    assert "'stem.0.weight' has the shape [6]" in images.message(saved(images.state | {"stem.0.weight": torch.ones(6)}))
    assert "a multiple of 3" in images.message(saved(images.state | {"stem.0.weight": torch.ones(7, 3, 3, 3)}))


def test_the_checkpoint_of_a_search_is_called_one(images, saved):
    net = CnnSupernet(build_space("cnn", ("none", "skip_connect"), 2), init_channels=2, layers=3, classes=3)
    for state in (net.state_dict(), interop.export_supernet(net, net.state_dict())):
        for prefix in ("", "supernet.", "module."):
            wrapped = {prefix + name: value for name, value in state.items()}
            assert "of a search network" in images.message(saved({"state_dict": wrapped}))


def test_a_dict_that_holds_itself_is_searched_once():
    found = {"epoch": 1}
    found["model"] = found
    with pytest.raises(UserError, match="holds no state dict"):
        interop.unwrap(found)
    found["ema"] = {"stem.0.weight": torch.ones(1)}
    assert list(interop.unwrap(found)) == ["stem.0.weight"]


def sparse(value):
    return value.to_sparse()


def without_values(value):
    return value.to("meta")


def repeated(value):
    return torch.ones(1).expand(10**9, *value.shape[1:])


@pytest.mark.parametrize("change", [sparse, without_values, repeated])
def test_tensors_without_plain_values_are_refused(case, change, saved):
    name = "stem.0.weight" if "stem.0.weight" in case.state else "encoder.weight"
    state = {key: value for key, value in case.state.items() if key != "decoder.weight"}
    message = case.message(saved(state | {name: change(case.state[name])}))
    assert repr(name) in message
    assert "save it" in message


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64, torch.bool])
def test_numbers_of_another_type_are_refused_and_of_another_precision_are_not(case, dtype, saved):
    name = next(name for name in case.state if name.endswith(".bias"))
    message = case.message(saved(case.state | {name: case.state[name].to(dtype)}))
    assert "of another type" in message
    assert f"{dtype} instead of torch.float32" in message
    halved = {key: value.half() if value.is_floating_point() else value for key, value in case.state.items()}
    found = case.load(saved(halved))
    assert all(torch.equal(found[key], value.to(found[key].dtype)) for key, value in halved.items())
