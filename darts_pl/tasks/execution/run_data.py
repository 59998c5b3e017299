"""Whether the data of a command are those that the network of its `run=` was trained for."""

from __future__ import annotations

from darts_pl.problems import open_problem
from darts_pl.runs.data_identity import refuse_other_data
from darts_pl.tasks.execution.described import names_data
from darts_pl.tasks.execution.trained import Trained


def refuse_other_run_data(trained: Trained, *, only_named: bool = False) -> None:
    """Compare the data that `data` names with those of the run; nothing where `checkpoint` names the network.

    Args:
        trained: the network, its configuration and where it comes from.
        only_named: compare only where the command names data, for tasks that else open none.

    Raises:
        UserError: if they are not the data that the network was trained for.
    """
    config = trained.config
    if config.run is None or config.checkpoint is not None or (only_named and not names_data()):
        return
    refuse_other_data(trained.checkpoint.parent.parent, open_problem(config).identity(), config.data.path)
