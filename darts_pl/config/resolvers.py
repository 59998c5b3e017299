"""Interpolations of our own for the YAML files; importing this module registers them."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf


def by_data(images: Any, text: Any, *, _root_: DictConfig) -> Any:
    """The value of ``${by_data:IMAGES,TEXT}``: the second where `data` is text, otherwise the first."""
    return text if OmegaConf.select(_root_, "data.kind") == "text" else images


OmegaConf.register_new_resolver("by_data", by_data, replace=True)
