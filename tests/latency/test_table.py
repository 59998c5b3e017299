"""The file of latencies: written, read, and refused."""

import json
import re
from dataclasses import replace

import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import Pair
from darts_pl.latency import FILE, LatencyTable, Repeats, measure_table, milliseconds, nanoseconds
from darts_pl.spaces import SPACES
from tests.latency.fake import fake_networks

CANDIDATES = ("none", "skip_connect", "sep_conv_3x3")


@pytest.fixture(scope="module")
def networks():
    return fake_networks("cnn", CANDIDATES, 2)


@pytest.fixture(scope="module")
def table(networks):
    return measure_table(networks, Repeats(1, 2, 0))[0]


def test_what_is_read_is_what_was_written(table, tmp_path):
    table.write(tmp_path, networks=[])
    for path in (tmp_path, tmp_path / FILE):
        found = LatencyTable.read(path)
        assert found == replace(table, facts=found.facts)
    plain = json.loads((tmp_path / FILE).read_text())
    assert plain["torch"] == table.facts["torch"]
    assert plain["threads"] == 1
    assert plain["settings"] == {"batch_size": 1, "repeats": 2, "warmup": 0}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_times_survive_the_file_exactly():
    for time in (0, 1, 999_999, 123_456_789, 10**12 + 7):
        assert nanoseconds(milliseconds(time)) == time
        assert nanoseconds(float(f"{milliseconds(time):.6f}")) == time


def changed(plain, **changes):
    return json.dumps({**plain, **changes})


def test_a_missing_or_damaged_file_is_refused_in_one_line(table, tmp_path):
    plain = json.loads(table.to_json())
    row = plain["rows"][0]
    pair = next(one for one in plain["pairs"] if one["rows"])
    cases = {
        "empty": "",
        "cut": table.to_json()[:500],
        "list": "[]",
        "number": "3",
        "form": changed(plain, form=99),
        "no_rows": json.dumps({name: value for name, value in plain.items() if name != "rows"}),
        "negative": changed(plain, rows=[{**row, "milliseconds": -1.0}, *plain["rows"][1:]]),
        "infinite": changed(plain, rows=[{**row, "milliseconds": 1e999}, *plain["rows"][1:]]),
        "text": changed(plain, rows=[{**row, "milliseconds": "fast"}, *plain["rows"][1:]]),
        "twice": changed(plain, rows=[row, *plain["rows"]]),
        "outside": changed(plain, pairs=[{**pair, "rows": [999]}]),
        "below": changed(plain, pairs=[{**pair, "rows": [-1]}]),
        "other": changed(plain, pairs=[{**pair, "operation": "dil_conv_3x3"}]),
        "no_space": changed(plain, identity={}),
        "no_batch": changed(plain, settings={}),
        "join": changed(plain, join={"milliseconds": -1}),
    }
    for name, text in cases.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=r"^select\.latency=") as caught:
            LatencyTable.read(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1, name
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match=r"not readable as latency\.json"):
        LatencyTable.read(tmp_path / "binary")
    for missing in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UserError, match=r"there is no latency\.json"):
            LatencyTable.read(missing)


def test_a_table_of_other_networks_or_of_another_device_is_refused_with_both_values(table, networks):
    table.check(networks.identity)
    for name, other in (
        ("init_channels", 36),
        ("layers", 20),
        ("sample", "3x32x32"),
        ("nodes of the normal cell", 4),
        ("device", "another processor"),
        ("precision", "64-true"),
        ("threads", 64),
    ):
        ours = networks.identity[name]
        words = f"a table with {name} {ours}, but the final network has {name} {other}"
        with pytest.raises(UserError, match=re.escape(words)):
            table.check({**networks.identity, name: other})
    with pytest.raises(UserError, match=r"a table with search\.space=cnn, but the search has nasbench201"):
        table.check_space(SPACES.get("nasbench201"))


def test_an_auxiliary_tower_makes_no_difference_and_an_unknown_operation_is_named(table, networks):
    table.check(replace(networks, sizes={**networks.sizes, "auxiliary": True}).identity)
    with pytest.raises(UserError, match="no latency of dil_conv_5x5 in the reduce cell; run task=latency"):
        table.of_pair("reduce", Pair("dil_conv_5x5", 0), 2)


def test_a_precision_that_cannot_be_measured_is_refused(networks):
    with pytest.raises(UserError, match=r"hardware\.precision=8-bit: latency is measured in 32-true"):
        replace(networks, precision="8-bit")
