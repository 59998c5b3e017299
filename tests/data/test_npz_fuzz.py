"""The npz reader on files that nobody foresaw: arrays or one line, never a traceback, within a second."""

import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darts_pl.data import load
from darts_pl.data.images.npz import REQUIRED
from darts_pl.errors import UserError

fuzz = settings(
    deadline=1000,  # milliseconds
    max_examples=150,
    database=None,
    derandomize=True,  # the same inputs in every run
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def good(compressed: bool = False) -> bytes:
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8),
        "y_train": np.arange(6) % 3,
        "x_test": rng.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8),
        "y_test": np.arange(3),
        "class_names": np.array(["cat", "dog", "eel"]),
    }
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


PLAIN, COMPRESSED = good(), good(compressed=True)


def check(path: Path, content: bytes) -> str:
    """What comes of a file: "" for arrays that keep every promise, else the refusal."""
    path.write_bytes(content)
    try:
        arrays = load("npz", str(path))
    except UserError as refusal:
        message = str(refusal)
        assert "\n" not in message
        assert len(message) < len(str(path)) + 400
        assert message.isprintable()
        return message
    for images, labels in ((arrays.x_train, arrays.y_train), (arrays.x_test, arrays.y_test)):
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        assert images.ndim == 4
        assert len(images) == len(labels) > 0
        assert 0 <= labels.min() <= labels.max() < arrays.classes
    return ""


@fuzz
@given(content=st.binary(max_size=400))
def test_any_bytes_are_refused_in_one_line(tmp_path, content):
    assert check(tmp_path / "any.npz", content)


@fuzz
@given(
    compressed=st.booleans(),
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 10**6)),
)
def test_a_file_with_changed_bytes_ends_in_arrays_or_one_line(tmp_path, compressed, edits, cut):
    content = bytearray(COMPRESSED if compressed else PLAIN)
    for place, value in edits:
        content[place % len(content)] = value
    check(tmp_path / "changed.npz", bytes(content[: cut % len(content)] if cut is not None else content))


@fuzz
@given(
    key=st.sampled_from([*REQUIRED, "class_names"]),
    place=st.integers(6, 130),
    insert=st.binary(min_size=1, max_size=9),
)
def test_a_changed_header_inside_a_whole_archive_ends_in_arrays_or_one_line(tmp_path, key, place, insert):
    """The checksums of the archive are right, so the header itself is read."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PLAIN)) as whole, zipfile.ZipFile(stream, "w") as archive:
        for name in whole.namelist():
            array = whole.read(name)
            if name == f"{key}.npy":
                array = array[:place] + insert + array[place + len(insert) :]
            archive.writestr(name, array)
    check(tmp_path / "header.npz", stream.getvalue())


DTYPES = ("u1", "i1", "<i4", ">i8", "<u8", "f2", "f4", ">f8", "c8", "?", "U3", "S2", "M8[s]", "O", "V3", "i1,f4")
WILD = st.tuples(
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 9), max_size=5).map(tuple),
    st.sampled_from([0, 1, -1, 2, 255, np.nan, np.inf]),
)


@fuzz
@given(key=st.sampled_from([*REQUIRED, "class_names"]), what=WILD)
def test_arrays_of_any_type_shape_and_value_end_in_arrays_or_one_line(tmp_path, key, what):
    dtype, shape, value = what
    with np.errstate(all="ignore"):
        array = np.zeros(shape, dtype)
        if array.dtype.kind in "iufc":
            array[...] = np.array(value).astype(array.dtype)
    with np.load(io.BytesIO(PLAIN)) as whole:
        arrays = {**whole, key: array}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    check(tmp_path / "wild.npz", stream.getvalue())


def with_array(key: str, header: str, data: bytes = b"\0" * 64) -> bytes:
    """The good file with one array whose header is given as text."""
    text = header.encode("latin1") + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PLAIN)) as whole, zipfile.ZipFile(stream, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, array if name == f"{key}.npy" else whole.read(name))
    return stream.getvalue()


def of_shape(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def patched(offset: int, value: int) -> bytes:
    """The good file with two bytes set in every entry of its directory and in every local header."""
    content = bytearray(PLAIN)
    for mark, shift in ((b"PK\x01\x02", 2), (b"PK\x03\x04", 0)):
        place = content.find(mark)
        while place >= 0:
            struct.pack_into("<H", content, place + offset + shift, value)
            place = content.find(mark, place + 4)
    return bytes(content)


DAMAGED = {
    "a zip version that Python does not know": (patched(4, 99), "zip file version 9.9"),
    "an encrypted archive": (patched(6, 1), "x_train is damaged .*encrypted"),
    "a compression that Python does not know": (patched(8, 77), "x_train is damaged .*compression"),
    "a shape beyond memory": (
        with_array("x_train", of_shape("'|u1'", "(99999999999999, 8, 8)")),
        "x_train (is damaged|does not fit into memory)",
    ),
    "a shape beyond 64 bits": (with_array("x_train", of_shape("'|u1'", f"({2**70}, 8, 8)")), "x_train is damaged"),
    "a shape that overflows": (with_array("y_train", of_shape("'<i8'", f"({2**62}, 8)")), "y_train is damaged"),
    "a negative shape": (with_array("x_train", of_shape("'|u1'", "(-6, 8, 8)")), "x_train"),
    "more names than classes can be": (with_array("class_names", of_shape("'<U0'", f"({2**40},)")), "class_names"),
    "a name beyond Unicode": (
        with_array("class_names", of_shape("'<U1'", "(3,)"), b"\xff" * 12),
        "class_names is damaged",
    ),
    "an unknown type": (with_array("x_train", of_shape("'<q99'", "(6, 8, 8)")), "x_train is damaged"),
    "brackets without end": (with_array("x_train", "[" * 9000), "x_train is damaged"),
    "labels beyond 64 bits": (
        with_array("y_train", of_shape("'<u8'", "(6,)"), b"\xff" * 48),
        "y_train holds the label",
    ),
    "pickled names": (with_array("class_names", of_shape("'|O'", "(3,)")), "class_names holds pickled"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_a_fuzzer_found_is_refused_with_the_array_and_the_reason(case, tmp_path):
    content, expected = DAMAGED[case]
    assert re.search(expected, check(tmp_path / "damaged.npz", content))


def test_the_file_that_is_changed_above_is_read_as_it_is(tmp_path):
    assert check(tmp_path / "plain.npz", PLAIN) == check(tmp_path / "compressed.npz", COMPRESSED) == ""
