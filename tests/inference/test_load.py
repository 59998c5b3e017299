"""A trained network that is loaded answers as task=test does, and says what it does not know."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import darts_pl
from darts_pl.cli import main
from darts_pl.data import load as load_data
from darts_pl.errors import UserError
from darts_pl.inference import ImageClassifier, TextModel
from darts_pl.records import from_plain
from tests.inference.answers import answers_of, by_class, summary_in

OLDER = Path(__file__).parents[1] / "goldens" / "runs_0_1_0" / "retrain"


@pytest.fixture(scope="module")
def digit_answers(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    folder = tmp_path_factory.mktemp("answers")
    np.savez(folder / "images.npz", images=load_data("digits").x_test)
    return answers_of(digits, folder / "images.npz", folder / "out", "task.top=10")


def test_predicted_probabilities_of_the_test_images_give_loss_and_accuracy_of_the_test(
    digits: Path, digit_answers: list[dict[str, str]]
) -> None:
    labels = [str(label) for label in load_data("digits").y_test]
    found = [by_class(row)[label] for row, label in zip(digit_answers, labels, strict=True)]
    right = [row["class"] == label for row, label in zip(digit_answers, labels, strict=True)]
    assert -np.log(found).mean() == pytest.approx(summary_in(digits)["test/loss"], abs=1e-5)
    assert np.mean(right) == pytest.approx(summary_in(digits)["test/accuracy"])


def test_a_loaded_network_gives_the_same_probabilities_to_arrays_tensors_and_lists(
    digits: Path, digit_answers: list[dict[str, str]]
) -> None:
    network = darts_pl.load(digits)
    assert isinstance(network, ImageClassifier)
    assert network.class_names == tuple("0123456789")
    assert not network.training
    images = load_data("digits").x_test[:5]
    expected = torch.tensor([[by_class(row)[name] for name in "0123456789"] for row in digit_answers[:5]])
    forms = [images, images[..., 0], images[..., 0] / 255, torch.from_numpy(images), list(images)]
    for given in forms:
        found = torch.stack([one.probabilities for one in network.predict(given)])
        torch.testing.assert_close(found, expected.to(found.dtype), rtol=0, atol=1e-5)
    for one in (images[0], images[0, ..., 0], Image.fromarray(images[0, ..., 0])):
        torch.testing.assert_close(network.predict(one).probabilities, expected[0].to(torch.float32), rtol=0, atol=1e-5)
    assert network.predict(images[0]).name == digit_answers[0]["class"]


def test_photos_that_are_asked_about_give_the_loss_of_the_test(photo_run: Path, photos: Path, tmp_path: Path) -> None:
    rows = answers_of(photo_run, photos / "val", tmp_path / "out")
    assert len(rows) == 12
    found = [by_class(row)[Path(row["input"]).parent.name] for row in rows]
    assert -np.log(found).mean() == pytest.approx(summary_in(photo_run)["test/loss"], abs=1e-5)
    network = darts_pl.load(photo_run)
    for row in rows[:4]:
        one = network.predict(photos / "val" / row["input"])
        assert dict(one.top()) == pytest.approx(by_class(row), abs=1e-5)


def test_grey_arrays_are_read_as_grey_photos_are(photo_run: Path, photos: Path) -> None:
    network = darts_pl.load(photo_run)
    file = photos / "val" / "dog" / "1.jpg"
    grey = np.asarray(Image.open(file))
    assert grey.ndim == 2
    expected = network.predict(file).probabilities
    given = (grey, grey[..., None], grey[None], np.stack([grey, grey]), grey[None, ..., None], torch.tensor(grey) / 255)
    for one in given:
        found = network.predict(one)
        assert isinstance(found, list) == (one.ndim == 4 or (one.ndim == 3 and one.shape[2] != 1))
        for answer in found if isinstance(found, list) else [found]:
            torch.testing.assert_close(answer.probabilities, expected, rtol=0, atol=1e-6)
    with pytest.raises(UserError, match=r"looks like \[C, H, W\]; give \[H, W, C\]"):
        network.predict(np.stack([grey] * 3))
    with pytest.raises(UserError, match="is a folder; give a list of its photos"):
        network.predict(photos)


def test_an_exported_folder_is_loaded_back_with_all_that_it_knows(
    photo_run: Path, photos: Path, tmp_path: Path
) -> None:
    export = ["task=export", f"run={photo_run}", "format=folder", "task.license=mit"]
    assert main([*export, f"hydra.run.dir={tmp_path / 'export'}"]) == 0
    shutil.copytree(tmp_path / "export" / "network", tmp_path / "moved")
    before, after = darts_pl.load(photo_run), darts_pl.load(tmp_path / "moved")
    assert after.description == before.description
    for photo in sorted((photos / "val").rglob("*.*")):
        one, other = before.predict(photo), after.predict(photo)
        torch.testing.assert_close(other.probabilities, one.probabilities, rtol=0, atol=1e-6)
    card, summary = (tmp_path / "moved" / "README.md").read_text(encoding="utf-8"), summary_in(photo_run)
    assert card.startswith('---\nlibrary_name: darts_pl\npipeline_tag: image-classification\nlicense: "mit"\n')
    facts = ["Bär, a cat, dog", "cells.png", "95 % interval", "| train | 24 |", "| test | 12 |"]
    facts += [f"{summary['test/accuracy']:.4f}", f"{summary['parameters']:,} parameters"]
    for fact in [*facts, f"{summary['multiply_adds']:,} multiply-adds", summary["genotype"]]:
        assert fact in card
    assert {path.name for path in (tmp_path / "moved").iterdir()} == {
        *("README.md", "config.json", "model.safetensors", "cells.png", "cells.svg")
    }


@pytest.mark.parametrize("what", ["photos", "digits"])
def test_the_source_runs_alone_and_gives_the_same_probabilities(
    what: str, photo_run: Path, digits: Path, photos: Path, tmp_path: Path
) -> None:
    run = photo_run if what == "photos" else digits
    assert main(["task=export", f"run={run}", "format=source", f"hydra.run.dir={tmp_path / 'export'}"]) == 0
    network = darts_pl.load(run)
    files = sorted((photos / "val").rglob("*.*"))
    code = "import sys, json; sys.modules['darts_pl'] = None; sys.path.insert(0, '.'); import network as n; "
    code += "net = n.load(); "
    code += "print(json.dumps([n.probabilities(net, n.read_photo(f))[0].tolist() for f in sys.argv[1:]]))"
    command = [sys.executable, "-I", "-c", code, *map(str, files)]
    done = subprocess.run(command, cwd=tmp_path / "export", capture_output=True, text=True, check=True)
    expected = [network.predict(file).probabilities.tolist() for file in files]
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-5)


def test_the_description_is_stored_as_plain_values_in_checkpoint_and_folder(photo_run: Path, text_run: Path) -> None:
    for run in (photo_run, text_run):
        stored = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["description"]
        assert json.loads((run / "network.json").read_text(encoding="utf-8")) == stored
        assert from_plain(stored, "") == darts_pl.load(run).description
    image = torch.load(photo_run / "checkpoints" / "last.ckpt", weights_only=True)["description"]
    assert image["class_names"] == ["Bär", "a cat", "dog"]
    assert image["input"] == {
        **{"channels": 3, "height": 16, "width": 16, "photos": True, "resize": 20, "layout": "auto"},
        **{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    }


def test_a_bare_checkpoint_of_ours_needs_no_genotype(digits: Path, tmp_path: Path) -> None:
    file = shutil.copy(digits / "checkpoints" / "last.ckpt", tmp_path / "mine.ckpt")
    images = load_data("digits").x_test[:3]
    found, expected = darts_pl.load(file).predict(images), darts_pl.load(digits).predict(images)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.probabilities, other.probabilities)


def test_a_run_of_an_older_version_loads_and_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    network = darts_pl.load(OLDER)
    assert network.missing == ["mean", "std"]
    assert "not stored with this network: mean, std" in caplog.text
    images = load_data("digits").x_test[:3]
    with pytest.raises(UserError, match=r"mean, std .* give them: darts_pl.load\(FILE, size="):
        network.predict(images)
    train = load_data("digits").x_train / 255
    given = darts_pl.load(OLDER, mean=[train.mean()], std=[train.std()], class_names=list("abcdefghij"))
    assert given.missing == []
    assert given.predict(images)[0].name in "abcdefghij"


def test_the_network_of_an_older_run_predicts_with_the_statistics_of_its_data(tmp_path: Path) -> None:
    data = load_data("digits")
    np.savez(tmp_path / "images.npz", images=data.x_test)
    rows = answers_of(OLDER, tmp_path / "images.npz", tmp_path / "out", "task.top=10")
    found = [by_class(row)[str(label)] for row, label in zip(rows, data.y_test, strict=True)]
    assert -np.log(found).mean() == pytest.approx(summary_in(OLDER)["test/loss"], abs=1e-4)


def test_a_text_has_the_perplexity_of_the_test_and_likely_next_words(
    text_run: Path, own_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = own_text.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "test.txt").write_text("".join(lines[135:]), encoding="utf-8")
    command = ["task=predict", f"run={text_run}", f"input={tmp_path / 'test.txt'}"]
    assert main([*command, f"hydra.run.dir={tmp_path / 'out'}"]) == 0
    expected = summary_in(text_run)["test/perplexity"]
    assert summary_in(tmp_path / "out")["perplexity"] == pytest.approx(expected, rel=1e-6)
    assert f"perplexity {expected:.2f} over {15 * 8 - 1} words" in capsys.readouterr().out
    network = darts_pl.load(text_run)
    assert isinstance(network, TextModel)
    found = network.predict("w3 w4 nosuch w5")
    assert (found.words, found.unknown, found.left_out) == (2, ("nosuch",), 1)
    numbers = torch.tensor([[network.words.index(word)] for word in ("w3", "w4", "w5")])
    with torch.no_grad():
        logits = network.network(numbers).logits[:, 0]
    torch.testing.assert_close(found.probabilities, logits[-1].softmax(0), rtol=0, atol=1e-6)
    logs = logits.log_softmax(1)
    mean = -(logs[0, numbers[1, 0]] + logs[1, numbers[2, 0]]) / 2
    assert found.perplexity == pytest.approx(mean.exp().item(), rel=1e-6)


def test_places_without_a_trained_network_are_refused_with_what_to_do(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "network.onnx").write_bytes(b"")
    state = torch.load(digits / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    torch.save(state, tmp_path / "bare.pt")
    for place, message in (
        (tmp_path / "nowhere", "there is no such folder or file"),
        (tmp_path / "empty", "not the folder of a finished training"),
        (tmp_path / "network.onnx", r"open it with onnxruntime.InferenceSession"),
        (tmp_path / "bare.pt", r"give it: darts_pl.load\(FILE, genotype='darts_v2'\)"),
    ):
        with pytest.raises(UserError, match=message):
            darts_pl.load(place)
    with pytest.raises(UserError, match=r"class_names: 2 given; this network has 10"):
        darts_pl.load(digits, class_names=["a", "b"])
    assert darts_pl.load(tmp_path / "bare.pt", genotype="darts_v1").missing == ["size", "mean", "std"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pt2", "onnx"])
def test_a_program_with_its_preprocessing_takes_pixels_and_says_what_it_is(
    form: str, photo_run: Path, photos: Path, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime") if form == "onnx" else None
    export = ["task=export", f"run={photo_run}", f"format={form}", "task.preprocessing=true"]
    assert main([*export, f"hydra.run.dir={tmp_path / 'export'}"]) == 0
    assert summary_in(tmp_path / "export")["input"] == "images"
    network = darts_pl.load(photo_run)
    files = sorted((photos / "val").rglob("*.*"))
    pixels = torch.stack([network.preparation.file(file) for file in files])
    expected = np.stack([network.predict(file).probabilities.numpy() for file in files])
    file = tmp_path / "export" / f"network.{form}"
    if onnxruntime is None:
        extra = {"metadata.json": ""}
        found = torch.export.load(file, extra_files=extra).module()(pixels).detach().numpy()
        stored = json.loads(extra["metadata.json"])
    else:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (found,) = session.run(["probabilities"], {"images": pixels.numpy()})
        stored = session.get_modelmeta().custom_metadata_map
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert json.loads(stored["class_names"]) == list(network.class_names)
    assert from_plain(json.loads(stored["description"]), "") == network.description
