"""The registry of perturbations of the mixing weights in the weight step."""

from __future__ import annotations

from typing import Any

from darts_pl.registry import Registry

PERTURBATIONS: Registry[Any] = Registry("perturbation")


@PERTURBATIONS.register("none")
class NoPerturbation:
    """The mixing weights as they are."""
