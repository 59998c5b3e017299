"""A run's folder and what lies in it. Plain files: nothing here needs torch, Lightning or Hydra."""

from darts_pl.records.checkpoint_file import is_whole, previous
from darts_pl.records.configuration import CONFIG, read_configuration, read_yaml
from darts_pl.records.description import (
    CLASSIFICATION,
    DESCRIPTION,
    DESCRIPTION_KEY,
    LANGUAGE,
    ImageInput,
    NetworkDescription,
    TextInput,
    from_plain,
    read_description,
)
from darts_pl.records.folder import RunFolder, Summary, read_genotype
from darts_pl.records.job_record import FAILED, FINISHED, RUNNING, JobRecord, read_record, read_summary
from darts_pl.records.latest import newest_file, newest_folder
from darts_pl.records.run_identity import difference, settings_of

__all__ = [
    "CLASSIFICATION",
    "CONFIG",
    "DESCRIPTION",
    "DESCRIPTION_KEY",
    "FAILED",
    "FINISHED",
    "LANGUAGE",
    "RUNNING",
    "ImageInput",
    "JobRecord",
    "NetworkDescription",
    "RunFolder",
    "Summary",
    "TextInput",
    "difference",
    "from_plain",
    "is_whole",
    "newest_file",
    "newest_folder",
    "previous",
    "read_configuration",
    "read_description",
    "read_genotype",
    "read_record",
    "read_summary",
    "read_yaml",
    "settings_of",
]
