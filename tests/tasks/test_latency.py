"""task=latency, and limits on latency at the end of a search and on a finished one."""

import json

import pytest

from darts_pl.latency import networks as final_networks
from tests.latency.fake import FakeClock
from tests.tasks.conftest import finished

HARDWARE = ("hardware=cpu", "hardware.threads=1")
SIZE = ("train.layers=3", "train.init_channels=2", "data=digits", *HARDWARE)
SPACE = ("search.nodes=2", "search.candidates=[none,skip_connect,sep_conv_3x3]")
REPEATS = ("task.repeats=3", "task.warmup=0", "task.networks=4")
SEARCH = (
    *("order=first", "search.epochs=1", "search.layers=3", "search.init_channels=2", "search.batch_size=256"),
    *SPACE,
    *SIZE,
)


class Ticking(FakeClock):
    """Every look at it takes a microsecond."""

    def mark(self) -> float:
        self.advance(1000)
        return self.now


@pytest.fixture(autouse=True)
def _no_real_time(monkeypatch):
    monkeypatch.setattr(final_networks, "clock_of", lambda device: Ticking())


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(final_networks, "clock_of", lambda device: CLOCK)
        folder = tmp_path_factory.mktemp("latency") / "run"
        return finished(folder, "task=latency", *SIZE, *SPACE, *REPEATS)


CLOCK = Ticking()


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("latency") / "search", *SEARCH)


def test_the_folder_holds_the_whole_table_the_device_and_the_comparison(measured, capsys, tmp_path, summary_of):
    plain = json.loads((measured / "latency.json").read_text())
    # Of three cells the second and the third halve the map: digits have 8x8 pixels.
    expected = [(1, 2, 8), (1, 4, 4), (1, 8, 2), (2, 4, 8), (2, 8, 4)]
    rows = [(row["operation"], row["stride"], row["channels"], row["height"], row["width"]) for row in plain["rows"]]
    assert rows == [(name, *one, one[2]) for name in ("skip_connect", "sep_conv_3x3") for one in expected]
    assert {row["milliseconds"] for row in plain["rows"]} == {0.001}
    # 2 networks of 3 cells with 4 operations each; those on 4x4 and 2x2 maps with stride 1 read a node of a reduction.
    samples = {(row["channels"], row["stride"]): row["samples"] for row in plain["rows"]}
    assert samples == {(2, 1): 12, (4, 1): 3, (8, 1): 3, (4, 2): 9, (8, 2): 9}
    assert plain["identity"]["device"]
    assert (plain["threads"], plain["clock"]) == (1, "fake clock")
    assert plain["torch"]
    assert plain["settings"] == {"batch_size": 1, "repeats": 3, "warmup": 0}
    assert [one["predicted"] for one in plain["networks"]] == [0.012] * 4  # base 0, 12 operations
    summary = summary_of(tmp_path / "again", "task=latency", *SIZE, *SPACE, *REPEATS, "task.batch_size=4")
    assert summary["latency/mean_error"] == pytest.approx(11)  # 12 microseconds predicted, 1 measured
    assert summary["latency/rank_correlation"] is None  # all are equal
    assert json.loads((tmp_path / "again" / "latency.json").read_text())["settings"]["batch_size"] == 4
    shown = capsys.readouterr().out
    assert "sample    1x8x8, batches of 4" in shown
    assert "mean absolute error 1100.0%" in shown


def test_a_cell_of_nasbench201_is_measured_too(tmp_path):
    size = ("search=nasbench201", "search.nodes=2", "data=digits", "train.cells=1", "train.init_channels=2", *HARDWARE)
    plain = json.loads((finished(tmp_path / "run", "task=latency", *size, *REPEATS) / "latency.json").read_text())
    assert plain["identity"]["space"] == "nasbench201"
    rows = {(row["operation"], row["channels"], row["height"]) for row in plain["rows"]}
    operations = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert rows == {(name, width, side) for name in operations for width, side in ((2, 8), (4, 4), (8, 2))}


def test_a_derived_network_keeps_a_limit_on_latency_and_the_error_is_shown(
    measured, searched, tmp_path, capsys, summary_of, refused
):
    # Every operation takes a microsecond, but for the convolutions, which the table now says to take ten.
    plain = json.loads((measured / "latency.json").read_text())
    for row in plain["rows"]:
        if row["operation"] == "sep_conv_3x3":
            row.update(milliseconds=0.01, quartiles=[0.01, 0.01])
    (tmp_path / "latency.json").write_text(json.dumps(plain))
    rule = ("task=derive", f"run={searched}", "select=magnitude_within", *SIZE[:2], *HARDWARE)
    # 12 operations in 3 cells, each of the 4 pairs of a cell type is computed in 1 normal or 2 reduction cells.
    command = (*rule, f"select.latency={tmp_path}")
    assert "has 0.012000 ms of predicted latency; give at least 0.012000" in refused(
        *command, "select.max_latency_ms=0.011"
    )
    for limit, convolutions in ((0.021, 1), (0.12, 12)):
        summary_of(tmp_path / str(limit), *command, f"select.max_latency_ms={limit}")
        recorded = json.loads((tmp_path / str(limit) / "selection.json").read_text())["limits"]
        assert recorded["latency_ms"] <= limit
        assert recorded["latency_ms"] <= 0.012 + 0.009 * convolutions + 1e-9
        assert recorded["measured_latency_ms"] == 0.001
        error = (recorded["latency_ms"] - 0.001) / 0.001
        assert f"0.001 ms measured (quartiles 0.001 to 0.001): error {error:+.1%}" in capsys.readouterr().out
        assert recorded["reference_ratio"] < 1


def test_bad_limits_and_tables_are_refused_in_one_line(measured, searched, tmp_path, refused):
    table = f"select.latency={measured}"
    rule = ("task=derive", f"run={searched}", "select=magnitude_within", *SIZE[:2], *HARDWARE)
    plain = json.loads((measured / "latency.json").read_text())
    (tmp_path / "damaged.json").write_text((measured / "latency.json").read_text()[:300])
    other = {**plain, "identity": {**plain["identity"], "device": "another processor"}}
    (tmp_path / "device.json").write_text(json.dumps(other))
    for arguments, words in (
        ((table, "select.max_latency_ms=0"), "select.max_latency_ms=0.0: must be above 0"),
        ((table, "select.max_latency_ms=-1"), "must be above 0"),
        ((table, "select.max_latency_ms=0.000001"), "select.max_latency_ms=0.000001: the smallest final network"),
        (("select.max_latency_ms=5",), "needs select.latency=RUN"),
        ((table,), "needs select.max_latency_ms"),
        (("select.latency=no_such_run", "select.max_latency_ms=5"), "there is no latency.json"),
        ((f"select.latency={tmp_path / 'damaged.json'}", "select.max_latency_ms=5"), "not readable as latency.json"),
        ((f"select.latency={tmp_path / 'device.json'}", "select.max_latency_ms=5"), "a table with device another pro"),
        ((table, "select.max_latency_ms=5", "train.init_channels=4"), "a table with init_channels 2, but"),
        ((table, "select.max_latency_ms=5", "hardware.precision=64-true"), "a table with precision 32-true, but"),
    ):
        message = refused(*rule, *arguments)
        assert words in message, message
        assert len(message.strip().splitlines()) == 1
    for arguments, words in (
        (("task.batch_size=0",), "task.batch_size=0: must be at least 1"),
        (("task.networks=1",), "task.networks=1: must be at least 2"),
        (("hardware.precision=8-bit",), "hardware.precision=8-bit: latency is measured in"),
    ):
        assert words in refused("task=latency", *SIZE, *arguments)
    recurrent = refused("task=latency", "search=rnn", "data=pydocs", "train=darts_rnn")
    assert "the latency of recurrent networks is not measured" in recurrent


def test_a_table_of_other_networks_is_refused_before_the_search(measured, tmp_path, refused):
    rule = ("select=magnitude_within", f"select.latency={measured}", "select.max_latency_ms=5")
    assert "a table with init_channels 2, but" in refused(*SEARCH, *rule, "train.init_channels=3")
    assert "a table with search.space=cnn, but the search has nasbench201" in refused("search=nasbench201", *rule)
    assert not (tmp_path / "refused" / "checkpoints").exists()
