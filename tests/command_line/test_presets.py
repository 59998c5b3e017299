"""Which preset a command gets, and what it may override."""

import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from darts_pl.command_line import config_folder, prepared
from darts_pl.command_line.presets import Amount, preset_for
from darts_pl.config import parse_config
from darts_pl.tasks import TASKS

PRESETS = sorted(path.stem for path in (Path(config_folder()) / "preset").glob("*.yaml"))


def folder_of(root, count, side):
    photo = Image.new("RGB", (side + 20, side))
    for number in range(count):
        place = root / ("a", "b")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        photo.save(place)
    return root


@pytest.mark.parametrize(
    ("images", "side", "photos", "preset"),
    [
        (500, 200, True, "few_photos"),
        (501, 200, True, "some_photos"),
        (5_000, 80, True, "some_small_photos"),
        (60, 32, True, "few_small_photos"),
        (60, 32, False, "few_images"),
        (4_000, 32, False, "some_images"),
        (5_001, 32, False, None),
        (60, 96, False, "few_large_images"),
        (501, 81, False, "some_large_images"),
    ],
)
def test_number_and_size_choose_the_preset(images, side, photos, preset):
    assert Amount(images, images, side, photos).preset == preset


def test_a_folder_of_photos_is_measured(tmp_path):
    command = ["data=image_folder", f"data.path={folder_of(tmp_path, 60, 120)}"]
    assert preset_for(command) == ["preset=few_photos"]
    assert preset_for([*command, "search=nasbench201"]) == []
    assert preset_for([*command, "preset=none"]) == []
    assert preset_for([*command, "experiment=imagenette_retrain"]) == []
    assert preset_for([*command, "task=test", "checkpoint=a.ckpt"]) == []


def test_a_file_is_measured_by_its_header(tmp_path):
    np.savez(tmp_path / "own.npz", x=np.zeros((60, 32, 30, 3), np.uint8), y=np.arange(60) % 2)
    assert preset_for(["data=npz", f"data.path={tmp_path / 'own.npz'}"]) == ["preset=few_images"]


def test_large_images_in_a_file_have_a_stem_that_makes_them_small(tmp_path):
    np.savez(tmp_path / "own.npz", x=np.zeros((20, 96, 100, 3), np.uint8), y=np.arange(20) % 2)
    command = ["data=npz", f"data.path={tmp_path / 'own.npz'}"]
    assert preset_for(command) == ["preset=few_large_images"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = parse_config(compose("config", overrides=prepared(command)))
    assert (config.search.stem, config.train.stem) == ("imagenet", "imagenet")
    assert (config.search.batch_size, config.train.batch_size) == (8, 8)


def test_a_batch_larger_than_the_split_is_lowered_unless_the_command_gives_it(tmp_path):
    command = ["data=image_folder", f"data.path={folder_of(tmp_path, 10, 120)}"]  # 8 for training, 4 in each half
    assert preset_for(command) == ["preset=few_photos", "search.batch_size=4"]
    assert preset_for([*command, "search.batch_size=64"]) == ["preset=few_photos"]
    assert preset_for([*command, "data.batch_size=64"]) == ["preset=few_photos"]
    assert preset_for([*command, "search.train_portion=0.25"]) == ["preset=few_photos", "search.batch_size=2"]


def test_a_short_text_is_measured_and_a_training_that_continues_gets_what_it_began_with(tmp_path):
    (tmp_path / "own.txt").write_text("some words\n" * 100)
    command = ["data=text", f"data.path={tmp_path / 'own.txt'}"]
    assert preset_for([*command, "search=rnn"]) == ["preset=short_text"]
    assert preset_for([*command, "task=retrain"]) == ["search=rnn", "preset=short_text"]
    for run, preset, expected in (("old", None, []), ("new", "short_text", ["search=rnn", "preset=short_text"])):
        choices = {"data": "text", "task": "retrain"} | ({} if preset is None else {"preset": preset})
        (tmp_path / run / ".hydra").mkdir(parents=True)
        (tmp_path / run / ".hydra" / "hydra.yaml").write_text(json.dumps({"hydra": {"runtime": {"choices": choices}}}))
        again = [*command, "task=retrain", f"hydra.run.dir={tmp_path / run}", "resume=true"]
        assert preset_for(again) == expected


def test_data_that_are_missing_or_no_data_choose_nothing(tmp_path):
    (tmp_path / "own.npz").write_bytes(b"no archive")
    for path in (tmp_path / "own.npz", tmp_path / "nowhere"):
        assert preset_for(["data=npz", f"data.path={path}"]) == []
    assert preset_for(["data=image_folder", f"data.path={tmp_path / 'nowhere'}"]) == []
    assert preset_for(["data=cifar10"]) == []


def test_what_the_command_gives_overrides_a_preset(tmp_path):
    assert TASKS
    command = ["data=image_folder", f"data.path={folder_of(tmp_path, 60, 120)}", "train.epochs=7", "data.size=40"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = parse_config(compose("config", overrides=prepared(command)))
    assert (config.preset, config.train.epochs, config.data.size) == ("few_photos", 7, 40)
    assert (config.search.batch_size, config.search.layers) == (8, 3)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_composes_with_its_data_and_names_itself(preset):
    data = {"photos": "image_folder", "images": "npz", "text": "text", "none": "npz"}[preset.rpartition("_")[2]]
    command = [f"preset={preset}", f"data={data}", "data.path=x", *(["search=rnn"] if data == "text" else [])]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = parse_config(compose("config", overrides=command))
    assert config.preset == preset
