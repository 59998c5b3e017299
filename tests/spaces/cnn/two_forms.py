"""The convolutional supernet and the same network written edge by edge: their outputs, and whether they agree."""

import torch

from darts_pl.interop import export_supernet


def logits_and_gradients(logits, parameters):
    """The logits, and by name the gradients of the parameters for a fixed cotangent; zeros where one is not used."""
    cotangent = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view_as(logits)
    gradients = torch.autograd.grad(
        logits, list(parameters.values()), cotangent, retain_graph=True, materialize_grads=True, allow_unused=True
    )
    return logits, dict(zip(parameters, gradients, strict=True))


def both(net, images, edge_by_edge, alphas_in_use=True, mixing=None, edgewise_weights=None):
    """Logits and the gradients of alphas and weights, ours and edge by edge.

    `mixing` is that of ours (by default the supernet's), `edgewise_weights` are the mixing weights of the network
    edge by edge (by default those of `mixing`).
    """
    parameters = net.weights() | (net.architecture() if alphas_in_use else {})
    mixing = mixing or net.mixing()
    weights = edgewise_weights or {name: values.weights for name, values in mixing.items()}
    candidates = {name: cell.candidates for name, cell in net.space.cells.items()}
    state = export_supernet(net, net.state_dict(keep_vars=True))
    return [
        logits_and_gradients(logits, parameters)
        for logits in (net(images, mixing), edge_by_edge(images, state, len(net.cells), candidates, weights))
    ]


def assert_same(results, tolerance=1e-9):
    """The first of two (logits, gradients) against the second."""
    (logits, gradients), (expected, expected_gradients) = results
    torch.testing.assert_close(logits, expected, rtol=tolerance, atol=tolerance)
    largest = max(values.abs().max().item() for values in expected_gradients.values())
    for name, values in expected_gradients.items():
        torch.testing.assert_close(gradients[name], values, rtol=0, atol=tolerance * largest, msg=name)
