"""The typed configuration and its checks. Defaults are in `conf/`, not here."""

from darts_pl.config.config import CommandSettings, Config, seconds_of
from darts_pl.config.convert import convert, type_name
from darts_pl.config.parse import CROSS_CHECKS, known_keys, nearest_key, parse_config, unknown_key
from darts_pl.config.resolvers import by_data
from darts_pl.config.sections import SECTIONS, Choice, Fixed, Group, Parts, Section, register_section
from darts_pl.config.upgrade import (
    GOES_ON,
    as_it_began,
    flatten,
    old_keys,
    upgrade_arguments,
    upgrade_configuration,
    upgrade_keys,
    upgrade_stored,
)

__all__ = [
    "CROSS_CHECKS",
    "GOES_ON",
    "SECTIONS",
    "Choice",
    "CommandSettings",
    "Config",
    "Fixed",
    "Group",
    "Parts",
    "Section",
    "as_it_began",
    "by_data",
    "convert",
    "flatten",
    "known_keys",
    "nearest_key",
    "old_keys",
    "parse_config",
    "register_section",
    "seconds_of",
    "type_name",
    "unknown_key",
    "upgrade_arguments",
    "upgrade_configuration",
    "upgrade_keys",
    "upgrade_stored",
]
