"""A run's folder and what lies in it. Plain files: nothing here needs torch, Lightning or Hydra."""

from darts_pl.records.checkpoint_file import is_whole, previous
from darts_pl.records.configuration import CONFIG, read_configuration, read_yaml
from darts_pl.records.folder import RunFolder, Summary, read_genotype
from darts_pl.records.job_record import FAILED, FINISHED, RUNNING, JobRecord, read_record, read_summary
from darts_pl.records.latest import newest_file, newest_folder
from darts_pl.records.run_identity import difference, settings_of

__all__ = [
    "CONFIG",
    "FAILED",
    "FINISHED",
    "RUNNING",
    "JobRecord",
    "RunFolder",
    "Summary",
    "difference",
    "is_whole",
    "newest_file",
    "newest_folder",
    "previous",
    "read_configuration",
    "read_genotype",
    "read_record",
    "read_summary",
    "read_yaml",
    "settings_of",
]
