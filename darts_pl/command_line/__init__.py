"""The words of a command: what is done to them before Hydra reads them, and what is said where it cannot."""

from darts_pl.command_line.arguments import expand_paths, prepared
from darts_pl.command_line.errors import user_message
from darts_pl.command_line.group_files import config_folder

__all__ = ["config_folder", "expand_paths", "prepared", "user_message"]
