"""hydra/sweeper=strategy where jobs fail: for some genotypes, for all of them, and before they begin."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts_pl.cli import main
from darts_pl.records.claims.lock import lock_folder
from darts_pl.records.job_record import read_record
from darts_pl.spaces import build_space
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201
from darts_pl.strategies import EVALUATORS, Encoding, build_strategy
from darts_pl.strategies.race import HISTORY, STATE
from tests.registrations import forgotten_after
from tests.strategies.conftest import settings_of

ROOT = Path(__file__).parents[2]
MODULE = """
import os

from darts_pl.errors import UserError
from darts_pl.strategies import EVALUATORS, SpaceTable, SpaceTableSettings


@EVALUATORS.register("brittle", settings=SpaceTableSettings)
class Brittle(SpaceTable):
    def __call__(self, question):
        first = str(question.genotype).split("~")[0].strip("|")
        if os.environ.get("BRITTLE_KILLS") and first == "avg_pool_3x3":
            os._exit(9)
        if first == "none":
            raise KeyError("no such\\nkernel")
        if first == "skip_connect":
            raise UserError("a genotype that the user can change")
        return super().__call__(question)
"""
#: What the module makes of a genotype, by the operation of its first edge.
FAILURES = {"none": "KeyError: 'no such\\nkernel'", "skip_connect": "a genotype that the user can change"}
SEARCH = ("task=strategy", "strategy=evolution_small", "strategy.population=4", "search=nasbench201", "seed=1")
SWEEP = ("-m", "hydra/sweeper=strategy", "hydra.sweeper.batch=3", *SEARCH)


@pytest.fixture
def brittle(tmp_path, monkeypatch):
    """The arguments that choose an evaluator which fails for some genotypes; its module is in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "brittle_evaluator.py").write_text(MODULE)
    (tmp_path / "groups" / "evaluator").mkdir(parents=True)
    (tmp_path / "groups" / "evaluator" / "brittle.yaml").write_text("name: brittle\nepochs: 12\n")
    with forgotten_after(monkeypatch, [EVALUATORS], lambda name: name == "brittle_evaluator"):
        yield ["--config-dir", "groups", *SWEEP, "imports=[brittle_evaluator]", "evaluator=brittle"]


def expected(count: int, failures: dict[str, str], seed: int = 1) -> list:
    """(integers, score, failure) by the columns of the table, in batches of 3; failures are told as None."""
    encoding = Encoding(build_space("nasbench201", OPERATIONS, 3), every_edge=True)
    strategy = build_strategy("evolution", encoding, settings_of("evolution_small") | {"population": 4}, seed)
    table, found = NasBench201(), []
    while len(found) < count:
        questions = [strategy.ask() for _ in range(min(3, count - len(found)))]
        for question in questions:
            failure = failures.get(OPERATIONS[question.integers[0]])
            score = None if failure else table.lookup(question.genotype).cifar10_valid_ep12
            strategy.tell(question, None if score is None else (score,))
            found.append((list(question.integers), score, failure))
    return found


def rows(folder: Path) -> list:
    found = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    return [(row["integers"], row["scores"] and row["scores"][0], row["failure"]) for row in found]


def of_jobs(found: list) -> list:
    """The failures, None where there is none, of the first question about each genotype: each is a job."""
    first: dict = {}
    for integers, _, failure in found:
        first.setdefault(tuple(integers), failure)
    return list(first.values())


def warnings(failures: list) -> list[str]:
    return [
        f"job {number} failed and counts as the worst score: {failure}"
        for number, failure in enumerate(failures)
        if failure is not None
    ]


def test_failed_jobs_are_told_as_the_worst_score_and_recorded_and_the_search_goes_on(brittle, tmp_path, capsys):
    folder, found = tmp_path / "search", expected(7, FAILURES)
    assert {failure for _, _, failure in found} == {None, *FAILURES.values()}
    assert main([*brittle, "budget.evaluations=7", f"hydra.sweep.dir={folder}"]) == 0
    assert rows(folder) == found
    jobs = of_jobs(found)
    output = capsys.readouterr()
    assert output.err.strip().splitlines() == warnings(jobs)
    failed = sum(failure is not None for failure in jobs)
    assert f"{len(jobs) - failed} finished, {failed} failed" in output.out
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["strategy/failures"] == sum(failure is not None for _, _, failure in found)
    assert summary["strategy/score"] == max(score for _, score, _ in found if score is not None)
    assert "Traceback" in read_record(folder / str(jobs.index(FAILURES["none"]))).details

    # Killed within the second batch, before the state was written: the same questions, and told failures are final.
    history = folder / HISTORY
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:4]))
    (folder / STATE).unlink()
    told = [(folder / str(job) / "job.json").stat().st_mtime_ns for job in range(4)]
    assert main([*brittle, "budget.evaluations=7", f"hydra.sweep.dir={folder}", "resume=true"]) == 0
    assert rows(folder) == found
    assert [(folder / str(job) / "job.json").stat().st_mtime_ns for job in range(4)] == told
    assert capsys.readouterr().err.strip().splitlines() == [line for line in warnings(jobs) if line[4] not in "0123"]


def test_a_first_batch_whose_failures_are_not_all_the_user_s_is_no_wrong_command(brittle, tmp_path):
    found = expected(4, FAILURES, seed=5)
    assert [failure is None for _, _, failure in found] == [False, False, False, True]
    folder = tmp_path / "search"
    assert main([*brittle, "seed=5", "budget.evaluations=4", f"hydra.sweep.dir={folder}"]) == 0
    assert rows(folder) == found


def test_a_setting_that_no_job_can_use_ends_the_search_after_the_first_batch_in_one_line(tmp_path, capsys):
    folder = tmp_path / "search"
    command = [*SWEEP, "budget.evaluations=3", f"hydra.sweep.dir={folder}"]
    assert main([*command, "evaluator.epochs=13"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    reason = read_record(folder / "0").reason
    assert "13" in reason
    assert line == f"error: every job of the first batch failed; job 0: {reason}"
    assert sorted(path.parent.name for path in folder.glob("*/job.json")) == ["0", "1", "2"]
    assert not (folder / HISTORY).exists()
    assert main([*command, "resume=true"]) == 0
    assert rows(folder) == expected(3, {})


def test_a_job_whose_folder_another_process_uses_is_no_answer(tmp_path, capsys):
    folder = tmp_path / "search"
    command = [*SWEEP, f"hydra.sweep.dir={folder}"]
    assert main([*command, "budget.evaluations=3"]) == 0
    capsys.readouterr()
    (folder / "3").mkdir()
    lock = lock_folder(folder / "3")
    assert main([*command, "budget.evaluations=4", "resume=true"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: job 3 did not begin: ")
    assert f"in use by process {os.getpid()}" in line
    assert rows(folder) == expected(3, {})
    lock.release()
    assert main([*command, "budget.evaluations=4", "resume=true"]) == 0
    assert rows(folder) == expected(4, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "kills"),
    [(["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], False), (["hydra/launcher=submitit_local"], True)],
    ids=["joblib", "submitit_local"],
)
def test_jobs_that_fail_in_other_processes_are_told_as_the_worst_score(brittle, launcher, kills, tmp_path):
    """joblib ends all jobs where a process dies, so only jobs of submitit are killed."""
    failures = FAILURES | ({"avg_pool_3x3": "it left no result"} if kills else {})
    command = [sys.executable, str(ROOT / "run.py"), *brittle, *launcher, "budget.evaluations=4"]
    command += [f"hydra.sweep.dir={tmp_path / 'search'}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "BRITTLE_KILLS": "1" if kills else ""}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    found = expected(4, failures)
    assert rows(tmp_path / "search") == found
    assert [line for line in done.stderr.splitlines() if " counts as the worst score: " in line] == warnings(
        of_jobs(found)
    )
    assert "Traceback" not in done.stderr
