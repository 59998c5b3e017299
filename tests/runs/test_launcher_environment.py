"""What SLURM's variables mean in a job of several tasks, in one of a single task, and in an interactive shell."""

import pytest

from darts_pl.errors import UserError
from darts_pl.launcher_environment import is_first, slurm_tasks
from darts_pl.run_folder import job_name
from darts_pl.runs.hardware import HardwareSettings
from darts_pl.runs.processes import number_of_nodes, scheduler, strategy_of

TASK = {"SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "search", "SLURM_NTASKS": "4", "SLURM_NNODES": "2"}
TASK |= {"SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1"}


def hardware(devices=1):
    return HardwareSettings(
        accelerator="cpu",
        devices=devices,
        precision="32-true",
        strategy="auto",
        nodes=None,
        deterministic=False,
        threads=None,
        compile=False,
    )


@pytest.fixture
def environment(monkeypatch):
    def setting(**variables):
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", *TASK):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return setting


def test_tasks_that_srun_started_are_one_run_in_one_folder(environment):
    environment(**TASK)
    assert (slurm_tasks(), number_of_nodes(hardware()), job_name()) == (4, 2, "slurm_77")
    assert not is_first()
    environment(**TASK | {"SLURM_PROCID": "0"})
    assert is_first()


@pytest.mark.parametrize("name", ["bash", "interactive"])
def test_a_command_in_the_shell_of_an_allocation_is_a_run_of_its_own(name, environment):
    environment(**TASK | {"SLURM_JOB_NAME": name, "SLURM_PROCID": "0"})
    assert (slurm_tasks(), number_of_nodes(hardware()), job_name()) == (1, 1, None)
    assert strategy_of(hardware()) == "auto"
    assert scheduler() == []
    environment(**TASK | {"SLURM_JOB_NAME": name, "SLURM_PROCID": "0", "LOCAL_RANK": "1"})
    assert not is_first()  # a process that the first one started


def test_a_job_of_one_task_has_the_usual_folder(environment):
    environment(**TASK | {"SLURM_NTASKS": "1", "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_PROCID": "0"})
    assert (slurm_tasks(), number_of_nodes(hardware()), job_name()) == (1, 1, None)


def test_tasks_without_their_number_on_each_machine_are_refused_with_the_way_that_works(environment):
    environment(**{name: value for name, value in TASK.items() if name != "SLURM_NTASKS_PER_NODE"})
    with pytest.raises(UserError, match="give srun or sbatch --nodes and --ntasks-per-node"):
        scheduler()


def test_a_list_of_hardware_is_one_process(environment):
    environment()
    assert strategy_of(hardware([1])) == "auto"
    assert strategy_of(hardware([0, 1])) != "auto"
