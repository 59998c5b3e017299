"""Any bytes end in the right tensors or in one line, within a second."""

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from darts_pl.errors import UserError
from tests.interop.conftest import MAKERS, Case

EXAMPLES = 150

FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,  # seconds are counted here, without hypothesis's own
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

CASES = {name: make() for name, make in MAKERS.items()}


def contents() -> Iterator[tuple[str, bytes]]:
    """For every network a file in each format."""
    for name, case in CASES.items():
        for form in ({}, {"_use_new_zipfile_serialization": False}):
            file = io.BytesIO()
            torch.save({"epoch": 1, "state_dict": {f"module.{key}": v for key, v in case.state.items()}}, file, **form)
            yield name, file.getvalue()
        yield name, save({key: value.clone() for key, value in case.state.items()})


WHOLE = list(contents())


@pytest.fixture
def outcome(tmp_path: Path) -> Callable[[Case, bytes], dict[str, torch.Tensor] | None]:
    """The tensors that a file of these bytes gives, or None where it was refused in one line."""

    def of(case: Case, content: bytes) -> dict[str, torch.Tensor] | None:
        path = tmp_path / "file.pt"
        path.write_bytes(content)
        started = time.process_time()  # others may use the machine too
        try:
            return case.load(path)
        except UserError as error:
            message = str(error)
        finally:
            assert time.process_time() - started < 1
        assert len(message.splitlines()) == 1
        assert len(message) < 1000
        return None

    return of


def spoiled(data: st.DataObject, whole: bytes) -> bytes:
    """The bytes with some changed, cut out, doubled or put in, mostly where the structure lies."""
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        if not content:
            break
        edge = data.draw(st.sampled_from(["start", "anywhere", "end"]))
        place = data.draw(st.integers(0, min(len(content), 900 if edge != "anywhere" else len(content)) - 1))
        place = len(content) - 1 - place if edge == "end" else place
        length = data.draw(st.integers(1, 40))
        change = data.draw(st.sampled_from(["bit", "bytes", "cut", "double", "end"]))
        if change == "bit":
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        elif change == "bytes":
            content[place : place + length] = data.draw(st.binary(min_size=1, max_size=length))
        elif change == "cut":
            del content[place : place + length]
        elif change == "double":
            content[place:place] = content[place : place + length]
        else:
            del content[place:]
    return bytes(content)


def right(case: Case, found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == case.state.keys() and all(torch.equal(found[name], case.state[name]) for name in found)


@FUZZ
@given(data=st.data())
def test_a_damaged_archive_of_torch_gives_the_right_tensors_or_one_line(outcome, data):
    name, whole = data.draw(st.sampled_from([entry for entry in WHOLE if entry[1].startswith(b"PK")]))
    found = outcome(CASES[name], spoiled(data, whole))
    assert found is None or right(CASES[name], found)


@FUZZ
@given(data=st.data())
def test_a_damaged_file_without_checksums_gives_a_network_of_the_right_shapes_or_one_line(outcome, data):
    name, whole = data.draw(st.sampled_from([entry for entry in WHOLE if not entry[1].startswith(b"PK")]))
    found = outcome(CASES[name], spoiled(data, whole))
    state = CASES[name].state
    assert found is None or {key: value.shape for key, value in found.items()} == {k: v.shape for k, v in state.items()}


@FUZZ
@given(name=st.sampled_from(list(CASES)), content=st.binary(max_size=600))
def test_any_bytes_are_refused_in_one_line(outcome, name, content):
    assert outcome(CASES[name], content) is None


@FUZZ
@given(name=st.sampled_from(list(CASES)), content=st.text(max_size=300), page=st.booleans())
def test_any_text_is_refused_in_one_line(outcome, name, content, page):
    assert outcome(CASES[name], (f"<html>{content}" if page else content).encode(errors="replace")) is None


@FUZZ
@given(data=st.data())
def test_any_header_of_safetensors_gives_the_right_tensors_or_one_line(outcome, data):
    values = st.recursive(st.none() | st.integers(-9, 1 << 62) | st.text(max_size=4), lambda v: st.lists(v, max_size=3))
    names = st.sampled_from(["stem.0.weight", "encoder.weight", "decoder.weight", "a"])
    kinds = st.sampled_from(["F32", "BF16", "F8_E4M3", "I64", "BOOL", "?"])
    entry = st.fixed_dictionaries({}, optional={"dtype": kinds, "shape": values, "data_offsets": values})
    header = json.dumps(data.draw(st.dictionaries(names, entry | values, max_size=3))).encode()
    content = len(header).to_bytes(8, "little") + header + data.draw(st.binary(max_size=64))
    assert outcome(CASES[data.draw(st.sampled_from(list(CASES)))], content) is None


SHAPES = st.tuples(st.lists(st.sampled_from([0, 1, 2, 3, 6, 7]), max_size=4), st.sampled_from([1, 10**6, 1 << 40])).map(
    lambda drawn: [drawn[1], *drawn[0]]
)


@FUZZ
@given(data=st.data())
def test_any_state_dict_gives_a_network_of_its_tensors_or_one_line(outcome, data):
    """Whole files with tensors renamed, reshaped, repeated, of other types, and beside anything."""
    case = CASES[data.draw(st.sampled_from(list(CASES)))]
    state = dict(case.state)
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from(sorted(name for name, value in state.items() if value is not None)))
        change = data.draw(st.sampled_from(["shape", "repeat", "type", "name", "number", "leave", "value"]))
        if change == "shape":
            state[key] = state[key].flatten()[: data.draw(st.integers(0, 6))]
        elif change == "repeat":
            shape = data.draw(SHAPES)
            state[key] = torch.ones(()).as_strided(shape, [0] * len(shape))
        elif change == "type":
            state[key] = state[key].to(data.draw(st.sampled_from([torch.bool, torch.cfloat, torch.uint8, torch.half])))
        elif change == "name":
            state[data.draw(st.text(max_size=20))] = state.pop(key)
        elif change == "number":
            state[key.replace("1", data.draw(st.sampled_from(["99", "1000000", "-1", "1e9"])))] = state.pop(key)
        elif change == "leave":
            del state[key]
        else:
            state[key] = None
    file = io.BytesIO()
    torch.save(data.draw(st.sampled_from([state, {"model": state}, {"state_dict": {"ema": state}}])), file)
    found = outcome(case, file.getvalue())
    if found is not None:
        assert found.keys() == case.state.keys()
        for key, value in found.items():
            assert state.get(key) is None or torch.equal(value, state[key].to(value.dtype)), key
