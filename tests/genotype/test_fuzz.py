"""Invented and damaged inputs: each ends in a genotype or in one line, within a second."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, find, from_pairs, parse, read
from tests.genotype.examples import JSON, RECURRENT_TEXT, TEXT

WHOLE = [TEXT, JSON, RECURRENT_TEXT, f"a = {TEXT}\nb = a\n", json.dumps({"edge_normal_0": "a", "edge_normal_1": "b"})]
PIECES = [
    "Genotype(", "normal", "normal_concat", "recurrent", "concat", "kind", "cnn", "=", "[", "]", "(", ")", "{",
    "}", ",", ":", "*", "+", "-", "#", "|", "~", "\n", "\0", "\\", "'", '"', "'sep'", '"\\ud800"', "'\\q'", "\ufeff",
    "\u2028", "0", "2", "1e999", "9" * 50, "9" * 5000, "None", "nan", "range(", "list(", "np.int64(", "array(",
    "dict(", "edge_normal_0", "inputs_node_normal_3", "[" * 100, "-" * 1000, "(" * 1000,
]  # fmt: skip
#: The same inputs in every run, and nothing is written into the working directory.
fuzzed = settings(max_examples=150, deadline=None, derandomize=True, database=None)

pieces = st.lists(st.sampled_from(PIECES)).map("".join)
damaged = st.builds(
    lambda text, start, length, middle: text[:start] + middle + text[start + length :],
    st.sampled_from(WHOLE),
    st.integers(0, 280),
    st.integers(0, 60),
    st.one_of(st.text(max_size=6), st.sampled_from(PIECES)),
)
texts = st.one_of(st.text(), pieces, damaged)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 9), st.integers(), st.floats(), st.sampled_from(["a", "none"])),
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.sampled_from(["kind", "normal", "x"]), inner)
    ),
    max_leaves=12,
)


def ends_well(reader, *given_values):
    """A genotype that survives being written and read, None, or one line; in less than a second of computing."""
    genotype, message = None, ""
    started = time.process_time()
    try:
        genotype = reader(*given_values)
    except UserError as error:
        message = str(error)
    assert time.process_time() - started < 1
    assert len(message) < 600
    assert len(message.splitlines()) == (1 if message else 0)
    if genotype is not None:
        assert isinstance(genotype, Genotype)
        assert parse(genotype.to_json()) == parse(str(genotype)) == genotype


@fuzzed
@given(texts)
def test_any_text_ends_in_a_genotype_or_in_one_line(text):
    ends_well(parse, text)
    ends_well(find, text)


@fuzzed
@given(values, values, values)
def test_any_values_end_in_a_genotype_or_in_one_line(pairs, concat, inputs):
    ends_well(from_pairs, "rnn", {"recurrent": (pairs, concat)}, {"recurrent": inputs})
    ends_well(parse, f"Genotype(recurrent={pairs!r}, concat={concat!r}, recurrent_inputs={inputs!r})")
    ends_well(parse, repr({"recurrent": pairs, "concat": concat}))


@fuzzed
@given(st.one_of(st.binary(), texts.map(lambda text: text.encode("utf-8", "replace"))), st.text(max_size=5))
def test_any_file_ends_in_a_genotype_or_in_one_line(tmp_path_factory, content, name):
    file = tmp_path_factory.getbasetemp() / "fuzzed.py"
    file.write_bytes(content)
    ends_well(read, file)
    ends_well(find, f"{file}:{name}")
    ends_well(find, f"{file}:normal")


MILLION = 10**6
LARGE = {
    "calls": "Genotype(" * 100_000,
    "open lists": "[" * MILLION,
    "open lists in a call": "Genotype(normal=" + "[" * MILLION,
    "open dictionaries": "{" * MILLION,
    "nested keys": '{"kind":' * 100_000,
    "numbers": "Genotype(normal=[" + "1," * MILLION,
    "a number of a million digits": "Genotype(normal=" + "1" * MILLION,
    "a number of 5,000 digits": TEXT.replace("[2, 3]", f"[{'9' * 5000}]"),
    "signs": "Genotype(normal=" + "-" * MILLION,
    "backslashes": "Genotype(normal='" + "\\" * MILLION,
    "blanks": "Genotype(normal=" + " " * MILLION,
    "comments": "Genotype(normal=" + "#\n" * MILLION,
    "words": "a.b." * MILLION,
    "zero bytes": "\0" * MILLION,
    "infinity": TEXT.replace("[2, 3]", "range(1e999)"),
    "a huge range": TEXT.replace("[2, 3]", "range(0, 10**18)"),
    "a range of step zero": TEXT.replace("[2, 3]", "range(2, 4, 0)"),
    "many ranges": "Genotype(recurrent=[" + "*range(1000)," * 10_000 + "])",
    "many additions": "Genotype(recurrent=" + " + ".join(["[1]"] * 30_000) + ")",
    "many nodes": "Genotype(recurrent=[" + ", ".join(f"('a', {n})" for n in range(5000)) + "], concat=[5000])",
    "many edges": "".join(f"edge_normal_{n}: x, " for n in range(9999)),
    "one edge often": "edge_normal_0: x," * 100_000,
    "many names": "".join(f"a{n} = a{n + 1}\n" for n in range(20_000)),
    "home folders": "~" * MILLION,
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE.keys())
def test_large_inputs_end_within_a_second(text):
    ends_well(parse, text)
    ends_well(find, text)


def test_a_large_source_file_ends_within_a_second(tmp_path):
    (tmp_path / "names.py").write_text(LARGE["many names"], encoding="utf-8")
    ends_well(read, tmp_path / "names.py")
    ends_well(find, f"{tmp_path / 'names.py'}:a0")
