"""The NAS-Bench-201 space through commands: searches, look-ups, trainings, correlations, refusals."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from darts_pl.cli import main
from darts_pl.selection import random_genotype
from darts_pl.spaces import build_space
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201, genotype_of, parse_text
from tests.tasks.conftest import csv_rows, finished

RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
TINY = ("search.cells=1", "search.init_channels=2", "hardware.threads=1")
SEARCH = ("search=nasbench201", "data=digits", "order=first", "search.epochs=2", "search.batch_size=256", *TINY)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("nasbench201") / "search", *SEARCH, "search.alphas.lr=0.3")


def test_a_search_ends_with_what_the_table_says_of_its_cell_and_logs_it_for_every_epoch(searched):
    summary, table = json.loads((searched / "summary.json").read_text()), NasBench201()
    entry = table.lookup(summary["genotype"])
    expected = {
        "table/cifar10_test": entry.cifar10_test,
        "table/cifar10_valid": entry.cifar10_valid,
        "table/cifar100_test": entry.cifar100_test,
        "table/imagenet16_test": entry.imagenet16_test,
        "table/rank": table.rank(entry.number),
        "table/percentile": table.percentile(entry.number),
        "table/regret": table.regret(entry.number),
        "table/random_mean": pytest.approx(87.06, abs=0.01),
        "table/random_std": pytest.approx(12.93, abs=0.01),
    }
    assert {name: value for name, value in summary.items() if name.startswith("table/")} == expected
    rows = csv_rows(searched / "metrics.csv")
    genotypes = [json.loads(line) for line in (searched / "genotypes.jsonl").read_text().splitlines()][1:]
    for row, genotype in zip(rows, genotypes, strict=True):
        cell = [OPERATIONS.index(operation) for operation, _ in genotype["cell"]]
        value = table.lookup(cell).cifar10_test
        assert float(row["search/table_cifar10_test"]) == pytest.approx(value, abs=1e-4)


def test_a_search_finds_the_same_without_a_table(searched, tmp_path, monkeypatch):
    space = type(build_space_object())
    monkeypatch.setattr(space, "table", None)
    assert main([*SEARCH, "search.alphas.lr=0.3", f"hydra.run.dir={tmp_path}"]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert not [name for name in summary if name.startswith("table/")]
    assert (tmp_path / "genotypes.jsonl").read_text() == (searched / "genotypes.jsonl").read_text()
    with np.load(tmp_path / "alphas.npz") as ours, np.load(searched / "alphas.npz") as theirs:
        assert np.array_equal(ours["cell"], theirs["cell"])


def build_space_object():
    from darts_pl.spaces import SPACES

    return SPACES.get("nasbench201")


def test_a_search_of_cells_with_five_nodes_ends_without_the_table(tmp_path, summary_of, capsys):
    summary = summary_of(tmp_path, *SEARCH, "search.nodes=4", "search.epochs=1")
    assert len(parse_text(summary["genotype"], nodes=5)) == 10
    assert not [name for name in summary if name.startswith("table/")]
    out = capsys.readouterr().out
    assert "task=retrain" in out
    assert "task=lookup" not in out


def test_a_genotype_is_looked_up_by_text_number_file_and_run(searched, tmp_path, summary_of, capsys):
    (tmp_path / "cell.txt").write_text(f"{RESNET}\n")
    for number, given in enumerate((f"'{RESNET}'", "11472", tmp_path / "cell.txt")):
        summary = summary_of(tmp_path / str(number), "task=lookup", f"genotype={given}")
        assert (summary["genotype"], summary["table/rank"]) == (RESNET, 68)
        assert "0.4633 below the best, number 6111 with 94.3733" in capsys.readouterr().out
    found = summary_of(tmp_path / "run", "task=lookup", f"genotype={searched}", "task.by=cifar100_test")
    searched_summary = json.loads((searched / "summary.json").read_text())
    assert found["genotype"] == searched_summary["genotype"]
    assert found["table/cifar100_test"] == searched_summary["table/cifar100_test"]
    assert "rank by cifar100_test" in capsys.readouterr().out


def test_the_best_cells_are_listed_under_limits(tmp_path, summary_of, capsys):
    summary = summary_of(tmp_path, "task=lookup", "task.top=3", "task.by=cifar100_test", "task.max_parameters=400000")
    best = NasBench201().top(3, "cifar100_test", 400_000)
    assert summary["genotype"] == best[0].text
    out = capsys.readouterr().out
    assert all(f"{entry.cifar100_test:.4f}" in out and entry.text in out for entry in best)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("task=lookup", f"genotype={RESNET.replace('none~1', 'conv~1')}"), "unknown operation 'conv'"),
        (("task=lookup", f"genotype={RESNET.replace('none~0|', '')}"), "inputs of node 2: 1 given, 2 needed"),
        (("task=lookup", "genotype=15625"), "cell number 15625: must be 0 to 15624"),
        (("task=lookup", "genotype=-1"), "cell number -1: must be 0 to 15624"),
        (("task=lookup", "genotype=|none~0|"), "the table knows those with 4"),
        (("task=lookup", "genotype=darts_v2"), "there is no table of convolutional genotypes; known: nasbench201"),
        (("task=lookup",), "give either genotype="),
        (("task=lookup", "genotype=6111", "task.max_parameters=400000"), "task.max_parameters=400000: limits the best"),
        (("task=lookup", "task.top=0"), "task.top=0: must be at least 1"),
        (("task=lookup", "task.top=1", "task.by=mnist_test"), "the table has no such accuracy; known: cifar10_valid"),
        (("task=lookup", "task.top=1", "task.table=cnn"), "there is no table of this space; known: nasbench201"),
        (("search=nasbench201", "data=pydocs"), "search.space=nasbench201 reads images, but data=pydocs is text"),
        (("search=nasbench201", "data=digits", "search.candidates=[none,sep_conv_3x3]"), "is no operation of"),
        (("task=retrain", "data=digits", "train.cutout=0", "genotype=6111"), "use train=nasbench201"),
        (("task=retrain", "data=digits", "train=nasbench201", "genotype=darts_v2"), "use train=darts"),
        (("task=correlate",), "run is missing; give run=FOLDER"),
        (("task=correlate", "run=no_such_folder"), "there is no such folder"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(refused, arguments, message):
    error = refused(*arguments)
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_the_network_of_a_cell_is_trained_and_tested_again(tmp_path, summary_of):
    train = ("train=nasbench201", "train.cells=1", "train.init_channels=2", "train.epochs=1", "data=digits")
    trained = summary_of(tmp_path / "train", "task=retrain", f"genotype={RESNET}", *train)
    tested = summary_of(tmp_path / "test", "task=test", f"run={tmp_path / 'train'}")
    for name in ("test/accuracy", "parameters", "multiply_adds", "genotype"):
        assert tested[name] == trained[name]


def test_a_derived_cell_is_looked_up_and_trained_by_the_commands_that_follow_the_derivation(
    searched, tmp_path, summary_of, capsys
):
    derived = summary_of(tmp_path / "derived", "task=derive", f"run={searched}", "select=pairs")
    commands = [line.partition("  # ")[0].split()[2:] for line in capsys.readouterr().out.splitlines()[-2:]]
    assert commands[0][:2] == ["task=retrain", f"genotype={tmp_path / 'derived'}"]
    trained = summary_of(tmp_path / "trained", *commands[0], "debug=true", "train.cells=1", "train.init_channels=2")
    assert trained["genotype"] == derived["genotype"]
    looked_up = summary_of(tmp_path / "looked_up", *commands[1])
    assert looked_up["table/rank"] == derived["table/rank"]


def test_shared_weights_are_correlated_with_the_table_and_a_stopped_comparison_goes_on(searched, tmp_path, summary_of):
    command = ("task=correlate", f"run={searched}", "task.genotypes=12", "task.resamples=50")
    summary = summary_of(tmp_path / "whole", *command)
    rows = csv_rows(tmp_path / "whole" / "scores.csv")
    known, shared = ([float(row[name]) for row in rows] for name in ("score", "shared_weights"))
    assert summary["correlate/kendall"] == pytest.approx(stats.kendalltau(shared, known).statistic)
    assert summary["correlate/spearman"] == pytest.approx(stats.spearmanr(shared, known).statistic)
    assert summary["correlate/kendall_low"] <= summary["correlate/kendall"] <= summary["correlate/kendall_high"]
    table = NasBench201()
    assert known == [table.lookup(row["genotype"]).cifar10_test for row in rows]
    assert "cifar10_test of the table" in (tmp_path / "whole" / "scatter.svg").read_text()
    assert summary["compared_with"] == "cifar10_test of the table"

    # A journal with five scores that no network would give: they are kept, the others are computed.
    decisions = json.loads((tmp_path / "whole" / "decisions.json").read_text())
    first = {name: decisions[name] if name == "checkpoint" else 7.0 for name in [*decisions][:6]}
    part = tmp_path / "part"
    part.mkdir()
    (part / "decisions.json").write_text(json.dumps(first))
    summary_of(part, *command, "resume=true")
    again = [float(row["shared_weights"]) for row in csv_rows(part / "scores.csv")]
    assert again == [7.0 if row["genotype"] in first else value for row, value in zip(rows, shared, strict=True)]


@pytest.mark.slow
def test_shared_weights_are_correlated_with_scores_in_a_file_on_any_space(tmp_path, summary_of, refused):
    folder = tmp_path / "search"
    search = ("data=digits", "search.epochs=1", "search.layers=3", "search.init_channels=4", "search.nodes=2")
    fast = ("order=first", "search.candidates=[skip_connect,max_pool_3x3]", "search.batch_size=256")
    summary_of(folder, *search, *fast)
    space = build_space("cnn", ["skip_connect", "max_pool_3x3"], 2)
    genotypes = [random_genotype(space, seed) for seed in range(6)]
    with (tmp_path / "known.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["genotype", "score"])
        rows.writerows([str(genotype), 10 + number] for number, genotype in enumerate(genotypes))
    command = ("task=correlate", f"run={folder}")
    summary = summary_of(tmp_path / "correlate", *command, f"task.scores={tmp_path / 'known.csv'}")
    found = csv_rows(tmp_path / "correlate" / "scores.csv")
    assert [row["genotype"] for row in found] == [str(genotype) for genotype in genotypes]
    shared = [float(row["shared_weights"]) for row in found]
    assert summary["correlate/kendall"] == pytest.approx(stats.kendalltau(shared, range(6)).statistic)
    assert "give task.scores=FILE.csv" in refused(*command)


def test_a_file_with_scores_names_cells_by_text_or_number(searched, tmp_path, summary_of):
    (tmp_path / "known.csv").write_text(f"genotype,score\n11472,1\n{RESNET},1\n6111,3\n1835,2\n", encoding="utf-8-sig")
    command = ("task=correlate", f"run={searched}", f"task.scores={tmp_path / 'known.csv'}")
    summary_of(tmp_path / "correlate", *command)
    rows = csv_rows(tmp_path / "correlate" / "scores.csv")
    assert [row["genotype"] for row in rows] == [RESNET, RESNET, *(NasBench201().lookup(n).text for n in (6111, 1835))]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("x,1\ny,2\nz,3\n", "line 2: genotype=x: neither a file"),
        ("0,1\n1,2\n2,nan\n", "line 4: score 'nan': must be a number"),
        ("0,1\n1,2\n2,inf\n", "line 4: score 'inf': must be a number"),
        ("0,1\n1,two\n2,3\n", "line 3: score 'two': must be a number"),
        ("0,1\n1\n2,3\n", "line 3: score None: must be a number"),
        (",1\n1,2\n2,3\n", "line 2: genotype is missing"),
        ("0,1\n1,2\n", "3 rows or more"),
        ("0,1\n1,2\ndarts_v2,3\n", "of kind 'cnn', but the search is of kind 'nasbench201'"),
    ],
)
def test_a_file_without_genotypes_and_scores_is_refused(searched, tmp_path, refused, rows, message):
    (tmp_path / "known.csv").write_text(f"genotype,score\n{rows}")
    error = refused("task=correlate", f"run={searched}", f"task.scores={tmp_path / 'known.csv'}")
    assert message in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_quickstart_names_the_worth_of_its_cell(tmp_path, summary_of, capsys):
    summary_of(tmp_path, "experiment=quickstart_nasbench201")
    out = capsys.readouterr().out
    for line in ("table, CIFAR-10 test", "random cells, mean     87.06", "random cells, spread   12.93"):
        assert line in out


def test_genotypes_of_numbers_are_those_of_the_table():
    assert str(genotype_of(NasBench201().cell(11472))) == RESNET


@pytest.mark.slow
def test_the_study_is_a_sweep_that_collect_turns_into_one_table(tmp_path, capsys, summary_of):
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 256, (80, 8, 8, 3), dtype=np.uint8), np.arange(80) % 4
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images[:8], y_test=labels[:8])
    tiny = (*TINY, "search.epochs=1", "search.batch_size=20", f"data.path={tmp_path / 'data.npz'}")
    sweep, rules = tmp_path / "sweep", ("magnitude", "pairs")
    command = ("experiment=study_nasbench201", "seed=0,1", f"select={','.join(rules)}")
    assert main(["-m", *command, *tiny, f"hydra.sweep.dir={sweep}"]) == 0
    summaries = {path.parent.name: json.loads(path.read_text()) for path in sorted(sweep.glob("*/summary.json"))}
    assert set(summaries) == {
        f"order-{order}+seed-{seed}+select-{rule}" for order in ("first", "second") for seed in (0, 1) for rule in rules
    }
    capsys.readouterr()
    summary_of(tmp_path / "table", "task=collect", f"runs={sweep}")
    out = capsys.readouterr().out
    values = {name: one["table/cifar10_test"] for name, one in summaries.items()}
    for order in ("first", "second"):
        pair = [values[f"order-{order}+seed-{seed}+select-magnitude"] for seed in (0, 1)]
        assert f"{np.mean(pair):.2f}" in out
    differences = [values[f"order-first+seed-{seed}+select-magnitude"] for seed in (0, 1)]
    differences = [one - values[f"order-second+seed-{s}+select-magnitude"] for s, one in enumerate(differences)]
    low, high = stats.t.interval(0.95, 1, np.mean(differences), stats.sem(differences))
    assert f"{low:+.2f} to {high:+.2f}" in out
    assert "DARTS (second order)" in out
