"""A search and a training in one call each, from arrays and from dataloaders."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import darts_pl
from darts_pl import notebook
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


def test_a_pair_of_dataloaders_is_searched_and_trained(loaders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = darts_pl.search(loaders, *TINY)
    shown = capsys.readouterr().out
    assert "  data      loaders; images: 40 train, 40 valid\n" in shown
    assert f"darts_pl.train((train_loader, test_loader), 'outputs/search/{found.folder.name}')" in shown
    trained = darts_pl.train(loaders, found, *TRAIN, folder="trained")
    assert found.folder.parent == tmp_path / "outputs" / "search"
    logits = trained.network(next(iter(loaders[1]))[0])
    assert logits.shape == (8, 2)
    assert trained.summary["images"] == 10  # one batch of the first loader
    assert "  data      loaders; images: 40 train, 40 test\n" in capsys.readouterr().out
    asked = darts_pl.load("trained", mean=[0, 0, 0], std=[1, 1, 1])  # these loaders do not normalise
    image = np.full((8, 8, 3), 51, np.uint8)
    expected = trained.network(torch.full((1, 3, 8, 8), 0.2)).softmax(1)[0]
    torch.testing.assert_close(asked.predict(image).probabilities, expected.detach(), rtol=0, atol=1e-6)


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


def test_a_call_says_and_leaves_at_its_end_what_a_command_does(arrays, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sizes = [setting for setting in TINY if setting != "debug=true"]
    found = darts_pl.search(arrays, *sizes, "search.epochs=1", "search.alphas.lr=1e-5", folder="called")
    called = capsys.readouterr().out
    (stored,) = (tmp_path / "outputs" / "arrays").glob("*.npz")
    command = [*sizes, "search.epochs=1", "search.alphas.lr=1e-5", "data=npz", f"data.path={stored}"]
    assert main([*command, "hydra.run.dir=commanded"]) == 0
    commanded = capsys.readouterr().out
    assert sorted(path.name for path in Path("called").iterdir()) == sorted(
        path.name for path in Path("commanded").iterdir()
    )
    last = [shown.partition("\nwarnings\n")[2].replace("commanded", "called") for shown in (called, commanded)]
    assert last[0] == last[1]
    assert "This cell is almost arbitrary" in " ".join(last[0].split())
    assert "hardly fallen" in str(found.summary["warning/flat_entropy"])
    assert str(found.summary["warning/flat_entropy"]) in Path("called/README.md").read_text()


def test_a_training_compares_and_keeps_to_a_time_where_its_settings_say_so(arrays, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = ("compare=shufflenet_v2_x0_5", "time_budget=1h")
    trained = darts_pl.train(arrays, "darts_v1", *TRAIN, *told, folder="trained")
    alone = darts_pl.train(arrays, "darts_v1", *TRAIN)
    again = darts_pl.train(arrays, "darts_v1", *TRAIN)
    assert "compare/test_accuracy" in trained.summary
    assert "compare/test_accuracy" not in alone.summary
    assert '"epochs"' in Path("trained/time_budget.json").read_text()
    assert alone.folder != again.folder


def test_a_time_that_is_too_short_for_a_training_is_refused(arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="time_budget=0m: must be a time such as 90s"):
        darts_pl.train(arrays, "darts_v1", *TRAIN, "time_budget=0m")


def test_calls_that_begin_within_a_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notebook.time, "strftime", lambda form: "now")
    for expected in ("now", "now_2", "now_3"):
        folder = notebook._new_folder("search")
        assert folder == Path("outputs/search") / expected
        folder.mkdir(parents=True)


def test_importing_the_package_loads_neither_torch_nor_the_notebook():
    program = "import sys, darts_pl; print({'torch', 'hydra', 'darts_pl.notebook'} & {*sys.modules})"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"
