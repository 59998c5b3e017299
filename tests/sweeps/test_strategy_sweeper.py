"""hydra/sweeper=strategy: questions of a search without gradients as jobs of Hydra's launchers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts_pl.cli import main
from darts_pl.spaces import build_space
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201
from darts_pl.strategies import Encoding, build_strategy
from darts_pl.strategies.race import HISTORY, STATE
from tests.strategies.conftest import settings_of

ROOT = Path(__file__).parents[2]
SEARCH = ("task=strategy", "strategy=evolution_small", "strategy.population=4", "search=nasbench201", "seed=2")
SWEEP = ("-m", "hydra/sweeper=strategy", "hydra.sweeper.batch=3", *SEARCH)


def asked_in_batches(count: int) -> list:
    """(integers, score) by the columns of the table, in batches of 3 whose answers are told in order."""
    encoding = Encoding(build_space("nasbench201", OPERATIONS, 3), every_edge=True)
    strategy = build_strategy("evolution", encoding, settings_of("evolution_small") | {"population": 4}, 2)
    table, found = NasBench201(), []
    while len(found) < count:
        questions = [strategy.ask() for _ in range(min(3, count - len(found)))]
        for question in questions:
            score = table.lookup(question.genotype).cifar10_valid_ep12
            strategy.tell(question, (score,))
            found.append((list(question.integers), score))
    return found


def answers(folder: Path) -> list:
    rows = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    return [(row["integers"], row["scores"][0]) for row in rows]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "search"
    assert main([*SWEEP, "budget.evaluations=8", f"hydra.sweep.dir={folder}"]) == 0
    return folder


def test_jobs_answer_a_batch_of_questions_in_the_order_asked(searched):
    assert answers(searched) == asked_in_batches(8)
    summary = json.loads((searched / "summary.json").read_text())
    assert summary["strategy/score"] == max(score for _, score in asked_in_batches(8))
    assert (searched / "genotype.json").is_file()
    assert (searched / "metrics.csv").is_file()


def test_every_new_genotype_is_a_job_in_a_folder_called_by_its_number(searched):
    new = len({tuple(integers) for integers, _ in asked_in_batches(8)})
    assert sorted(path.parent.name for path in searched.glob("*/job.json")) == sorted(map(str, range(new)))
    evaluation = json.loads((searched / "0" / "evaluation.json").read_text())
    assert evaluation["scores"] == [asked_in_batches(8)[0][1]]


def test_a_stopped_search_goes_on_with_the_same_questions(searched, tmp_path):
    folder = tmp_path / "search"
    assert main([*SWEEP, "budget.evaluations=6", f"hydra.sweep.dir={folder}"]) == 0
    (folder / STATE).unlink()  # as if the process had been killed before it wrote the state
    assert main([*SWEEP, "budget.evaluations=8", f"hydra.sweep.dir={folder}", "resume=true"]) == 0
    assert answers(folder) == answers(searched)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("budget.evaluations=3", "hydra.sweeper.batch=0"), "hydra.sweeper.batch=0: must be a whole number"),
        (("budget.evaluations=3", "seed=1,2"), "seed: hydra/sweeper=strategy takes one value per key"),
        (("budget.evaluations=3", "evaluator=shared_weights"), "jobs train no shared weights; give evaluator.run"),
        (
            ("strategy=nsga2", "budget.evaluations=3"),
            "strategy.objectives=2: the evaluator gives 1 and task.costs adds",
        ),
        (("task=search",), "hydra/sweeper=strategy with task=search; use task=strategy"),
        ((), "budget: a search needs a limit"),
    ],
)
def test_what_makes_no_search_is_refused_in_one_line(arguments, message, tmp_path, capsys):
    command = [one for one in SWEEP if not any(one.startswith(f"{new.partition('=')[0]}=") for new in arguments)]
    assert main([*command, *arguments, f"hydra.sweep.dir={tmp_path / 'sweep'}"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not list((tmp_path / "sweep").glob("[0-9]*"))  # no job was started


@pytest.mark.slow
def test_other_processes_find_what_one_process_finds(searched, tmp_path):
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]  # submitit's: tests/sweeps/test_failing_jobs.py
    command = [sys.executable, "run.py", *SWEEP, *launcher, "budget.evaluations=8", f"hydra.sweep.dir={tmp_path}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    assert answers(tmp_path) == answers(searched)
