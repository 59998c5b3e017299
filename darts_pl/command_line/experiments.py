"""Which file of `conf/experiment/` suits the space of a command."""

from __future__ import annotations

from collections.abc import Sequence

from darts_pl.command_line.group_files import config_folder, current_choice, value_in
from darts_pl.records.configuration import read_yaml

KEY = "experiment"


def with_fitting_experiment(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``experiment=NAME_SPACE`` in place of ``experiment=NAME``, where they choose the search of
    another space and there is such an experiment: ``experiment=debug search=rnn`` is ``experiment=debug_rnn``."""
    name, search = value_in(arguments, KEY), value_in(arguments, "search")
    if name is None or search is None or not (space := _space_of(search)):
        return list(arguments)
    fitting = f"{name}_{space}"
    own = _space_of(current_choice([f"{KEY}={name}"], "search"))
    if space == own or not (config_folder() / KEY / f"{fitting}.yaml").is_file():
        return list(arguments)
    return [f"{KEY}={fitting}" if one.lstrip("+").startswith(f"{KEY}=") else one for one in arguments]


def _space_of(search: str | None) -> str | None:
    """The value of `search.space` in a file of `conf/search/` or in the one that it is based on; None without one."""
    found = read_yaml(config_folder() / "search" / f"{search}.yaml")
    if not isinstance(found, dict):
        return None
    space = found.get("search", {}).get("space")
    bases = (one for one in found.get("defaults", []) if isinstance(one, str) and one != "_self_")
    return space if isinstance(space, str) else next(filter(None, map(_space_of, bases)), None)
