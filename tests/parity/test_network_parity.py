"""Final networks against logits recorded from the authors' code, in float64."""

from collections import OrderedDict

import pytest
import torch

from darts_pl import interop
from darts_pl.problems import ImageProblem
from darts_pl.spaces import build
from darts_pl.zoo import published

pytestmark = pytest.mark.parity


def network_of(data):
    hyper = data["hyper"]
    stem = "imagenet" if "stem0.0.weight" in data["state_dict"] else "cifar"
    first = "stem0.0.weight" if stem == "imagenet" else "stem.0.weight"
    return build(
        published(data["arch"].lower()),
        init_channels=hyper["init_channels"],
        layers=hyper["layers"],
        classes=hyper["num_classes"],
        in_channels=data["state_dict"][first].shape[1],
        auxiliary=hyper.get("auxiliary", False),
        stem=stem,
    )


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_logits_and_auxiliary_logits_are_the_recorded_ones(network_file, recorded_in, agrees, mode):
    data = recorded_in(network_file)
    network = network_of(data)
    interop.load(network, interop.import_network(data["state_dict"]))
    network.double().train(mode == "train")
    with torch.no_grad():
        found = network(data["x"].double())
    logits, auxiliary = found if isinstance(found, tuple) else (found, None)
    agrees(network_file, f"logits_{mode}_mode", logits, data[f"logits_{mode}_mode"])
    if f"aux_logits_{mode}_mode" in data:
        agrees(network_file, f"aux_logits_{mode}_mode", auxiliary, data[f"aux_logits_{mode}_mode"])
    else:
        assert auxiliary is None


def test_a_recorded_state_comes_back_bit_for_bit_after_import_and_export(network_file, recorded_in):
    data = recorded_in(network_file)
    network = network_of(data)
    network.load_state_dict(interop.import_network(data["state_dict"]))
    exported = interop.export_network(network.state_dict())
    assert exported.keys() == data["state_dict"].keys()
    for name, values in exported.items():
        assert values.dtype == data["state_dict"][name].dtype
        assert torch.equal(values, data["state_dict"][name]), name


def rebuilt_as_in_2018(tensor, _):
    """How torch 0.3, with which the authors wrote their checkpoints, puts a tensor into a file."""
    storage = torch.storage.TypedStorage(wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True)
    return torch._utils._rebuild_tensor, (storage, tensor.storage_offset(), tuple(tensor.size()), tensor.stride())


def test_a_file_in_the_format_of_the_authors_torch_loads_and_scores(
    network_file, recorded_in, agrees, tmp_path, monkeypatch
):
    data = recorded_in(network_file)
    # Neither zip archives nor counts of batches were there; with several GPUs names began with "module.".
    state = OrderedDict((f"module.{k}", v) for k, v in data["state_dict"].items() if "num_batches_tracked" not in k)
    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "__reduce_ex__", rebuilt_as_in_2018)
        torch.save({"epoch": 250, "state_dict": state}, tmp_path / "model.pt", _use_new_zipfile_serialization=False)
    assert b"_rebuild_tensor_v2" not in (tmp_path / "model.pt").read_bytes()
    network = ImageProblem.load_network(tmp_path / "model.pt", published(data["arch"].lower()), torch.float64)
    with torch.no_grad():
        agrees(network_file, "logits_eval_mode", network(data["x"].double()), data["logits_eval_mode"])
