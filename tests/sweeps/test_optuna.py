"""Sweeps whose jobs Optuna draws, against Optuna asked directly."""

import math

import optuna
import pytest

from darts_pl.records.best import objective_of
from tests.tiny_sweep import TINY

ARGUMENTS = [*TINY, "data.path=none", "hydra/sweeper=optuna_cnn"]


def drawn(score, trials: int, startup: int = 10) -> tuple[list[dict], float]:
    """(settings of each trial, best score) where Optuna's own sampler sees `score(settings)`."""
    space = {
        "search.alphas.lr": optuna.distributions.LogUniformDistribution(3e-4, 3e-1),
        "search.alphas.weight_decay": optuna.distributions.CategoricalDistribution([0, 1e-4, 1e-3]),
        "search.weights.lr": optuna.distributions.LogUniformDistribution(5e-3, 1e-1),
        "search.weights.weight_decay": optuna.distributions.LogUniformDistribution(1e-5, 1e-2),
    }
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=startup)
    )
    for _ in range(trials):
        trial = study.ask(space)
        study.tell(trial, score(trial.params))
    return [trial.params for trial in study.trials], study.best_value


def settings(context) -> dict[str, float]:
    search = context.config.search
    return {
        "search.alphas.lr": search.alphas.lr,
        "search.alphas.weight_decay": search.alphas.weight_decay,
        "search.weights.lr": search.weights.lr,
        "search.weights.weight_decay": search.weights.weight_decay,
    }


def score(found: dict[str, float]) -> float:
    return 0.5 - abs(math.log10(found["search.alphas.lr"]) + 1) - 3 * found["search.weights.lr"]


def test_the_jobs_are_those_that_optuna_draws_and_the_best_is_named(sweep, pretend, capsys):
    """7 trials, of which the last three depend on what the first four found."""
    calls = pretend(lambda context: {"search/valid_accuracy": score(settings(context))})
    assert sweep(*ARGUMENTS, "hydra.sweeper.n_trials=7", "hydra.sweeper.sampler.n_startup_trials=4") == 0
    expected, best = drawn(score, 7, startup=4)
    assert [settings(context) for context in calls] == [pytest.approx(params) for params in expected]
    captured = capsys.readouterr()
    assert f"best                   {best:.6g}  job " in captured.out
    assert captured.err == ""


def test_a_repeated_sweep_runs_only_the_trials_that_are_new(sweep, pretend, jobs):
    calls = pretend(lambda context: {"search/valid_accuracy": score(settings(context))})
    assert sweep(*ARGUMENTS, "hydra.sweeper.n_trials=3") == 0
    assert len(calls) == 3
    assert sweep(*ARGUMENTS, "hydra.sweeper.n_trials=5", "resume=true") == 0
    expected, _ = drawn(score, 5)
    assert [settings(context) for context in calls] == [pytest.approx(params) for params in expected]
    assert [jobs()[number].objective for number in range(5)] == [pytest.approx(score(params)) for params in expected]


def test_a_failed_trial_stops_nothing_and_counts_as_failed(sweep, pretend, capsys):
    def found(context):
        if len(calls) == 2:
            raise RuntimeError("ours")
        return {"search/valid_accuracy": score(settings(context))}

    calls = pretend(found)
    assert sweep(*ARGUMENTS, "hydra.sweeper.n_trials=4") == 1
    assert len(calls) == 4
    captured = capsys.readouterr()
    assert "3 finished, 1 failed" in captured.out
    assert [line.rpartition(": ")[2] for line in captured.err.splitlines() if line.startswith("failed")] == ["ours"]


def test_where_every_trial_fails_only_their_reasons_are_shown(sweep, capsys):
    assert sweep(*ARGUMENTS, "hydra.sweeper.n_trials=2", "data.path=/no/such.npz") == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert sum("/no/such.npz" in line for line in error.splitlines() if line.startswith("failed: job")) == 2


def test_the_plugins_own_name_maximises_too_and_takes_its_space_from_the_command_line(sweep, pretend, capsys):
    calls = pretend(lambda context: {"search/valid_accuracy": context.config.seed / 100})
    space = ["seed=choice(3,1,2)", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6"]
    assert sweep(*TINY, "data.path=none", *space) == 0
    best = max(context.config.seed for context in calls) / 100
    assert f"best                   {best:.6g}  " in capsys.readouterr().out


def test_a_task_without_an_objective_is_refused(sweep, capsys):
    assert sweep("task=zoo", "hydra/sweeper=optuna_cnn") == 2
    assert "task=search" in capsys.readouterr().err


def test_every_objective_is_to_be_maximised():
    assert objective_of({"search/valid_accuracy": 0.25, "search/valid_loss": 2.0}, "search/valid_accuracy") == 0.25
    assert objective_of({"search/valid_perplexity": 80.0}, "search/valid_accuracy") == -80.0
    assert objective_of({"retrain/best_valid_perplexity": 70.0, "test/perplexity": 60.0}, "test/accuracy") == -70.0
    assert objective_of({"test/perplexity": 60.0}, "test/accuracy") == -60.0
    assert objective_of({"task": "zoo"}, "") is None


def test_of_losses_ranks_regrets_sizes_and_times_a_sweep_wants_less():
    summary = {
        "search/valid_loss": 2.0,
        "table/rank": 12,
        "table/regret": 0.5,
        "multiply_adds": 9,
        "table/percentile": 99.0,
    }
    assert [objective_of(summary, name) for name in summary] == [-2.0, -12.0, -0.5, -9.0, 99.0]
    assert objective_of({"seconds": 3.5, "parameters": 4}, "parameters") == -4.0


def test_three_real_searches(tmp_path, images, sweep, jobs, capsys):
    arguments = [*TINY, f"data.path={images}", "hydra/sweeper=optuna_cnn", "hydra.sweeper.n_trials=3"]
    assert sweep(*arguments) == 0
    found = [jobs()[number].objective for number in range(3)]
    assert all(0 <= value <= 1 for value in found)
    assert f"best                   {max(found):.6g}  job " in capsys.readouterr().out
