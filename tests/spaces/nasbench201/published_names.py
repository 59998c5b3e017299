"""The product's search network and the names of the published one."""

import re

import torch

from darts_pl.spaces import Parts, build_space
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201Supernet
from darts_pl.spaces.nasbench201.supernet import IN_SEARCH


def supernet_of(data, *, track_statistics=False, last_affine=True, parts=None):
    """The product's supernet with the recorded weights, buffers and alphas, in float64 and in training mode."""
    hyper = data["hyper"]
    supernet = NasBench201Supernet(
        build_space("nasbench201", OPERATIONS, 3),
        channels=hyper["init_channels"],
        cells=hyper["N"],
        classes=hyper["num_classes"],
        in_channels=data["state_dict"]["stem.0.weight"].shape[1],
        track_statistics=track_statistics,
        parts=parts or Parts(),
    ).double()
    if not last_affine:
        supernet.lastact[0] = torch.nn.BatchNorm2d(4 * hyper["init_channels"], affine=False).double()
    own = {name: values for name, values in supernet.state_dict().items() if not name.startswith("arch.")}
    found = {}
    buffers = any("running" in name for name in data["state_dict"])
    for name, values in own.items():
        replaced = name.startswith("lastact.0.running") and not last_affine
        recorded = not name.endswith("num_batches_tracked") and (buffers or "running" not in name)
        if recorded and not replaced:
            found[name] = torch.cat([published(data["state_dict"], theirs) for theirs in published_names(name)])
            assert found[name].shape == values.shape, name
    supernet.load_state_dict(found, strict=False)
    alphas = data["alphas"][0] if isinstance(data["alphas"], list) else data["alphas"]
    supernet.load_alphas({"cell": alphas.double()})
    return supernet.train()


def published(state, name):
    """A published tensor; the mean of a BatchNorm without the bias of the convolution before it, which ours lacks."""
    bias = name.replace(".op.2.running_mean", ".op.1.bias")
    values = state[name].double()
    return values - state[bias].double() if bias != name and bias in state else values


def published_names(ours):
    """What the published code calls a tensor of the product: one name, or one per edge in the order of stacking."""
    found = re.match(r"cells\.(\d+)\.mixed\.(\d)\.operations\.(\w+)\.(.*)", ours)
    if found is None:
        return [ours]
    layer, source, operation, rest = found.groups()
    column = [IN_SEARCH.get(name, name) for name in OPERATIONS].index(operation)
    return [f"cells.{layer}.edges.{target}<-{source}.{column}.{rest}" for target in range(int(source) + 1, 4)]


def published_norms(supernet, gradients, names):
    """The norm of each published parameter's gradient; that of a bias before a BatchNorm is zero.

    Args:
        supernet: the product's.
        gradients: by the product's names.
        names: published ones.
    """
    norms = {}
    for ours, values in gradients.items():
        theirs = published_names(ours)
        norms |= {name: part.norm() for name, part in zip(theirs, values.chunk(len(theirs)), strict=True)}
    zero = torch.zeros((), dtype=torch.float64)
    assert all(name in norms or name.endswith(".op.1.bias") for name in names)
    return torch.stack([norms.get(name, zero) for name in names])
