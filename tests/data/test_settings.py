"""The settings of data: ranges, and the same keys as the section `data` of the configuration."""

from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from darts_pl.data import DataSettings, ImageSettings, Loading, PhotoSettings, TextSettings
from darts_pl.data.loaders import LoaderSettings
from darts_pl.errors import UserError
from darts_pl.settings import check

CONF = Path(__file__).parents[2] / "conf"
KINDS = {"images": ImageSettings, "photos": PhotoSettings, "text": TextSettings, "loaders": LoaderSettings}
GROUPS = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))


@cache
def composed(group):
    """The section `data` of a group file as plain values."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose("config", [f"data={group}", "data.path=here"]).data)


def section(group):
    """The settings of a group file, as the data room takes them."""
    values = dict(composed(group))
    return KINDS[values.pop("kind")](**values)


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_file_gives_every_setting_of_its_kind_a_value_within_its_range(group):
    settings = section(group)
    check(settings, "data")
    assert set(composed(group)) - {"kind"} == {field.name for field in fields(settings)}


@pytest.mark.parametrize("group", GROUPS)
def test_searches_divide_published_data_as_their_authors_do_and_own_data_by_class(group):
    by_index = {"cifar10", "cifar100", "digits"}
    by_class = {"npz", "image_folder", "imagenet"}
    split = getattr(section(group), "split", None)
    assert split == ("index" if group in by_index else "stratified" if group in by_class else None)
    assert getattr(section(group), "split_seed", 0) == 0


def outside():
    for group in ("npz", "image_folder", "text"):
        for field in fields(section(group)):
            within = field.metadata["range"]
            for value in within.outside if within is not None else ():
                yield pytest.param(group, field.name, value, id=f"{group}-{field.name}-{value}")


@pytest.mark.parametrize(("group", "name", "value"), list(outside()))
def test_a_value_outside_its_range_is_refused_with_its_key(group, name, value):
    settings = replace(section(group), **{name: value})
    with pytest.raises(UserError) as refusal:
        check(settings, "data")
    assert str(refusal.value).startswith(f"data.{name}={value}: must be ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("resize", 100, "data.resize=100: must be at least data.size=224, the crop"),
        ("mean", [0.5], "data.mean=[0.5]: photos have 3 channels"),
        ("std", [0.5] * 4, "data.std=[0.5, 0.5, 0.5, 0.5]: photos have 3 channels"),
    ],
)
def test_settings_of_photos_that_do_not_fit_each_other_are_refused(name, value, message):
    settings = replace(section("image_folder"), **{name: value})
    with pytest.raises(UserError) as refusal:
        check(settings, "data")
    assert str(refusal.value) == message


@pytest.mark.parametrize("schema", [DataSettings, *KINDS.values(), Loading])
def test_every_setting_has_a_line_of_help(schema):
    assert is_dataclass(schema)
    for field in fields(schema):
        assert field.metadata["help"].strip()
        assert "\n" not in field.metadata["help"]
