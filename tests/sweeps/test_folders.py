"""What the folder of a job is called."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from darts_pl.cli import main
from darts_pl.sweeps import job_folder
from tests.tiny_sweep import TINY

OVERRIDES = [
    "order-first+seed-0",
    "data.path-/some where/ä.npz+seed-1",
    "search.candidates-[none,skip_connect]",
    "genotype-Genotype(normal=[('a', 0)])",
    "search.alphas.lr-1e-05",
    "+".join(f"search.key_{number}-{number}" for number in range(40)),
    "",
]


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("overrides", OVERRIDES)
def test_a_name_is_one_folder_and_can_be_given_on_the_command_line(overrides, numbered):
    name = job_folder(overrides, 3, numbered)
    assert name.isascii()
    assert "/" not in name
    assert 0 < len(name) < 150
    assert not name.startswith(".jobs")
    (parsed,) = OverridesParser.create().parse_overrides([f"run=multirun/{name}"])
    assert parsed.value() == f"multirun/{name}"


def test_names_that_had_to_be_changed_are_still_different():
    assert job_folder("data.path-a/b", 0, False) != job_folder("data.path-a_b", 0, False)
    assert job_folder("x" * 300 + "a", 0, False) != job_folder("x" * 300 + "b", 0, False)


def test_a_folder_is_called_after_what_differs_between_the_jobs(tmp_path, sweep, pretend):
    pretend(lambda context: {})
    assert sweep(*TINY, "data.path=none", "seed=0,1", "search.nodes=2,1") == 0
    folders = {path.parent.name for path in (tmp_path / "sweep").glob("*/job.json")}
    assert folders == {f"search.nodes-{nodes}+seed-{seed}" for nodes in (1, 2) for seed in (0, 1)}
    assert sweep("search.nodes=range(1,4)", "resume=true", "seed=1,0", "data.path=none", *TINY[:-1]) == 0
    more = {path.parent.name for path in (tmp_path / "sweep").glob("*/job.json")}
    assert more - folders == {"search.nodes-3+seed-0", "search.nodes-3+seed-1"}


def test_a_job_that_is_alone_is_called_after_all_its_overrides(tmp_path, sweep, pretend):
    pretend(lambda context: {})
    assert sweep("data=digits", "seed=3", "resume=true") == 0
    assert [path.parent.name for path in (tmp_path / "sweep").glob("*/job.json")] == ["data-digits+seed-3"]


def test_two_jobs_never_share_a_folder(tmp_path, sweep, jobs, pretend, capsys):
    calls = pretend(lambda context: {})
    assert sweep(*TINY, "data.path=none", "seed=0,0,1") == 2
    assert [context.config.seed for context in calls] == [0, 1]
    assert {number: record.state for number, record in jobs().items()} == {0: "finished", 1: "failed", 2: "finished"}
    assert "job 0 of the sweep has the same overrides" in capsys.readouterr().err


def test_jobs_of_several_tasks_stay_in_the_folder_of_their_sweep(tmp_path, pretend, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pretend(lambda context: {})
    assert main(["-m", *TINY, "data.path=none", "task=search,retrain"]) == 0
    (folder,) = (tmp_path / "multirun").glob("*/*")
    assert len(list(folder.glob("*/job.json"))) == 2
