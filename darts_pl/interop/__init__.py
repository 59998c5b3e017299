"""Checkpoints of the authors' code and of others, in and out: reading files, finding the state dict, names."""

from darts_pl.interop.convolutional import authors_names, classifier_sizes, export_network, import_network
from darts_pl.interop.file import read
from darts_pl.interop.loading import build_and_load, load
from darts_pl.interop.recurrent import export_recurrent, import_recurrent, language_model_sizes
from darts_pl.interop.state_dict import unwrap
from darts_pl.interop.supernet import export_supernet, import_supernet

__all__ = [
    "authors_names",
    "build_and_load",
    "classifier_sizes",
    "export_network",
    "export_recurrent",
    "export_supernet",
    "import_network",
    "import_recurrent",
    "import_supernet",
    "language_model_sizes",
    "load",
    "read",
    "unwrap",
]
