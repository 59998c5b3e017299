"""Genotypes in files and in the `genotype=` key."""

import json
import logging

import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import find, read
from darts_pl.records.folder import read_genotype
from darts_pl.tasks.retrain import find_genotype
from darts_pl.zoo import published
from tests.genotype.examples import JSON, TEXT, written_out

OTHER = TEXT.replace("sep_conv_3x3", "dil_conv_3x3")
#: As the repositories of the methods have it.
SOURCE = f"""\
from collections import namedtuple

Genotype = namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')

PRIMITIVES = ['none', 'max_pool_3x3']

FIRST = {OTHER}
# from the paper, table 3
DARTS_V2 = Genotype(
{TEXT.removeprefix("Genotype(")}
LATER = genotypes.{OTHER}
AS_DICTIONARY: dict = {json.loads(JSON)}
IN_BRACKETS = ({TEXT})

DARTS = DARTS_V2
BEST = DARTS  # the one to use
LOOP = POOL
POOL = LOOP
open('written', 'w')
"""
KNOWN = "FIRST, DARTS_V2, LATER, AS_DICTIONARY, IN_BRACKETS, DARTS, BEST"


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A `genotypes.py` in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genotypes.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path / "genotypes.py"


@pytest.mark.parametrize("name", ["DARTS_V2", "DARTS", "BEST", "AS_DICTIONARY", "IN_BRACKETS"])
def test_a_name_after_the_file_chooses_one_of_its_genotypes(source, name):
    for place in (f"{source}:{name}", f"genotypes.py:{name}", f"./genotypes.py:{name}"):
        assert find_genotype(place) == find(place) == read(place) == read_genotype(place) == written_out()
    assert find_genotype(f"{source}:LATER") != written_out()
    assert not (source.parent / "written").exists()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("genotypes.py:DARTS_V3", f"no genotype is called DARTS_V3; did you mean DARTS_V2? known: {KNOWN}"),
        ("genotypes.py:LOOP", f"no genotype is called LOOP; known: {KNOWN}"),
        ("genotypes.py:PRIMITIVES", f"no genotype is called PRIMITIVES; known: {KNOWN}"),
        ("genotypes.py:Genotype", "'namedtuple' is not called; names and expressions are never evaluated"),
        ("genotypes.py", f"holds 7 genotypes; name one, such as genotypes.py:FIRST (known: {KNOWN})"),
        ("missing.py:DARTS", "genotype=missing.py:DARTS: neither a file nor a folder"),
    ],
)
@pytest.mark.usefixtures("source")
def test_a_name_that_is_not_there_is_refused_with_those_that_are(place, message):
    with pytest.raises(UserError) as caught:
        find_genotype(place)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", [f"DARTS = {TEXT}\n", f"import x\n\nDARTS = Genotype(\n{TEXT[9:]}", f"X = x.{TEXT}"])
def test_a_python_file_with_one_genotype_needs_no_name(tmp_path, text):
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    assert find_genotype(str(tmp_path / "mine.py")) == written_out()


@pytest.mark.parametrize("text", [TEXT, JSON, f"best = {TEXT}", SOURCE.partition("LATER")[0]])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_with_and_without_a_byte_order_mark(tmp_path, text, encoding):
    (tmp_path / "cell.txt").write_text(text, encoding=encoding)
    assert find_genotype(str(tmp_path / "cell.txt")) == written_out()


def test_a_name_in_a_file_with_a_byte_order_mark_is_found(tmp_path):
    (tmp_path / "cells.py").write_text(f"DARTS = {TEXT}\nOTHER = {OTHER}\n", encoding="utf-8-sig")
    assert find_genotype(f"{tmp_path / 'cells.py'}:DARTS") == written_out()


def test_a_log_file_says_that_its_last_genotype_counts(tmp_path, caplog):
    lines = [f"05/08 09:12:15 PM genotype = {text}\n05/08 train 001 2.3" for text in [OTHER, OTHER, TEXT]]
    (tmp_path / "log (1).txt").write_text("\n".join(lines), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert find_genotype(str(tmp_path / "log (1).txt")) == written_out()
    assert caplog.messages == ["genotype: the text holds 3 genotypes; the last one is taken"]


@pytest.mark.parametrize("place", ["~/cell.json", "~/runs/a", "~/cells.py:DARTS"])
def test_the_home_folder_is_understood(tmp_path, monkeypatch, place):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs" / "a" / "search").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "search" / "genotype.json").write_text(JSON, encoding="utf-8")
    (tmp_path / "cell.json").write_text(JSON, encoding="utf-8")
    (tmp_path / "cells.py").write_text(f"DARTS = {TEXT}", encoding="utf-8")
    assert find_genotype(place) == written_out()


@pytest.mark.parametrize("wanted", [TEXT, JSON, f"\ufeff{TEXT}", f"x = {TEXT}", str(json.loads(JSON)), "darts_v2"])
def test_the_key_takes_texts_and_published_names(tmp_path, monkeypatch, wanted):
    monkeypatch.chdir(tmp_path)
    assert find_genotype(wanted) == (published("darts_v2") if wanted == "darts_v2" else written_out())


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            "darts_v3",
            "genotype=darts_v3: neither a file nor a folder; unknown published genotype 'darts_v3'; did you mean",
        ),
        ("no/such/file.json", "genotype=no/such/file.json: neither a file nor a folder; "),
        ("~nobody_of_this_name/x", "neither a file nor a folder"),
        ("x" * 5000, "neither a file nor a folder"),
        ("a\0b", "neither a file nor a folder"),
        ("~\0", "neither a file nor a folder"),
        ("", "genotype is missing; give genotype="),
        (TEXT.replace("avg_pool", "blur_pool"), "genotype: unknown operation 'blur_pool_3x3' in the reduce cell"),
        (TEXT.replace("'avg_pool_3x3'", "'none'"), "genotype: 'none' in the reduce cell passes nothing on"),
    ],
)
def test_what_names_no_genotype_is_refused(tmp_path, monkeypatch, wanted, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        find_genotype(wanted)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_file_that_holds_no_text_is_refused(tmp_path):
    (tmp_path / "best.ckpt").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(UserError, match=r"best\.ckpt: not a text file"):
        find_genotype(str(tmp_path / "best.ckpt"))
    with (tmp_path / "big.txt").open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(UserError, match=r"big\.txt: larger than 16 MiB"):
        find_genotype(str(tmp_path / "big.txt"))
