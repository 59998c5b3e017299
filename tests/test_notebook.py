"""A search and a training in one call each, from arrays and from dataloaders."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import darts_pl
from darts_pl.cli import main
from darts_pl.errors import UserError
from darts_pl.spaces import Supernet, count_parameters

TINY = ("search.nodes=2", "search.layers=3", "search.init_channels=2", "debug=true", "order=first")
TRAIN = ("train.layers=3", "train.init_channels=2", "debug=true")


@pytest.fixture(scope="module")
def arrays():
    draws = np.random.default_rng(0)
    return draws.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), np.arange(40) % 2


@pytest.fixture(scope="module")
def loaders(arrays):
    x, y = arrays
    data = TensorDataset(torch.tensor(x).permute(0, 3, 1, 2) / 255, torch.tensor(y))
    return DataLoader(data, batch_size=10, shuffle=True), DataLoader(data, batch_size=8)


@pytest.fixture(scope="module")
def searched(arrays, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        return darts_pl.search(arrays, *TINY, folder="found")


def test_a_search_returns_what_the_run_folder_holds(searched):
    assert darts_pl.parse((searched.folder / "genotype.json").read_text()) == searched.genotype
    with np.load(searched.folder / "alphas.npz") as stored:
        assert {name: stored[name].shape for name in ("normal", "reduce")} == {"normal": (2, 5, 8), "reduce": (2, 5, 8)}
        assert np.array_equal(stored["normal"][-1], searched.alphas["normal"][-1])
    assert isinstance(searched.supernet, Supernet)
    last = searched.supernet.alphas["normal"].detach().numpy()
    assert np.array_equal(last, searched.alphas["normal"][-1])
    assert [row["epoch"] for row in searched.history] == [0]


def test_a_training_scores_as_the_command_that_tests_its_folder(arrays, searched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained = darts_pl.train(arrays, searched, *TRAIN, folder="trained")
    assert count_parameters(trained.network) == trained.summary["parameters"]
    assert not trained.network.training
    assert main([f"run={trained.folder}", "task=test", "debug=true", "hydra.run.dir=tested"]) == 0
    assert f'"test/accuracy": {trained.summary["test/accuracy"]}' in Path("tested/summary.json").read_text()


def test_a_pair_of_dataloaders_is_searched_and_trained(loaders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = darts_pl.search(loaders, *TINY)
    trained = darts_pl.train(loaders, found, *TRAIN, folder="trained")
    assert found.folder.parent == tmp_path / "outputs" / "search"
    logits = trained.network(next(iter(loaders[1]))[0])
    assert logits.shape == (8, 2)
    assert trained.summary["images"] == 10  # one batch of the first loader


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ("/no/such/place", (), "there is no file or folder"),
        (3 * [np.zeros((4, 8, 8))], (), "give a folder, a file, arrays"),
        ("arrays", ("search.layers=0",), "search.layers=0: must be at least 1"),
        ("arrays", ("search.layer=4",), "search.layer"),
    ],
)
def test_what_cannot_be_used_is_refused(data, settings, message, arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=message) as refusal:
        darts_pl.search(arrays if data == "arrays" else data, *settings)
    assert isinstance(refusal.value, UserError)


def test_a_batch_that_is_no_pair_of_images_and_labels_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flat = DataLoader(TensorDataset(torch.zeros(8, 64), torch.zeros(8, dtype=torch.int64)), batch_size=4)
    with pytest.raises(UserError, match=r"first dataloader: a batch has images \(4, 64\)"):
        darts_pl.search((flat, flat), *TINY)


def test_importing_the_package_loads_neither_torch_nor_the_notebook():
    program = "import sys, darts_pl; print({'torch', 'hydra', 'darts_pl.notebook'} & {*sys.modules})"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"
