"""Published genotypes against the texts in which they were published."""

import json
import logging

import pytest

from darts_pl.errors import UserError
from darts_pl.genotype import parse
from darts_pl.ops import activations, names
from darts_pl.zoo import PUBLISHED, ZOO, Published, published

TEXTS = {
    "darts_v1": """Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0),
        ('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)],
        normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2),
        ('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)],
        reduce_concat=[2, 3, 4, 5])""",
    "darts_v2": """Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0),
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],
        normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2),
        ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],
        reduce_concat=[2, 3, 4, 5])""",
    "nasnet": """Genotype(
        normal = [('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 0),
            ('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0),
            ('sep_conv_3x3', 1), ('skip_connect', 1),],
        normal_concat = [2, 3, 4, 5, 6],
        reduce = [('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0),
            ('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('skip_connect', 3), ('avg_pool_3x3', 2),
            ('sep_conv_3x3', 2), ('max_pool_3x3', 1),],
        reduce_concat = [4, 5, 6],)""",
    "amoebanet_as_in_darts": """Genotype(
        normal = [('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2),
            ('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), ('skip_connect', 1),
            ('skip_connect', 0), ('avg_pool_3x3', 1),],
        normal_concat = [4, 5, 6],
        reduce = [('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2),
            ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1),
            ('conv_7x1_1x7', 0), ('sep_conv_3x3', 5),],
        reduce_concat = [3, 4, 6])""",
    "darts_v1_rnn": """Genotype(recurrent=[('relu', 0), ('relu', 1), ('tanh', 2), ('relu', 3), ('relu', 4),
        ('identity', 1), ('relu', 5), ('relu', 1)], concat=range(1, 9))""",
    "darts_v2_rnn": """Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1), ('tanh', 2),
        ('sigmoid', 5), ('tanh', 3), ('relu', 5)], concat=range(1, 9))""",
    "enas_rnn": """Genotype(recurrent = [('tanh', 0), ('tanh', 1), ('relu', 1), ('tanh', 3), ('tanh', 3), ('relu', 3),
        ('relu', 4), ('relu', 7), ('relu', 8), ('relu', 8), ('relu', 8),], concat = [2, 5, 6, 9, 10, 11])""",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_published_genotype_is_the_text_that_was_published(name):
    assert published(name) == parse(TEXTS[name])


@pytest.mark.parametrize("name", ZOO)
def test_a_published_genotype_names_its_source_and_uses_operations_that_exist(name):
    assert any(str(year) in ZOO[name].source for year in range(2018, 2024))
    ZOO[name].genotype.check_operations(activations() if ZOO[name].genotype.kind == "rnn" else names())


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("darts_v3", "darts_v2"),
        ("pc_darts", "pc_darts_cifar"),
        ("gdas", "gdas_v1"),
        ("SETN", None),
        ("x" * 10**6, None),
    ],
)
def test_an_unknown_name_is_refused_in_one_line_with_the_nearest_ones(wrong, near):
    with pytest.raises(UserError, match=r"^unknown published genotype '[^\n]*; [^\n]*task=zoo lists all 51$") as caught:
        published(wrong)
    assert len(str(caught.value)) < 200
    assert near is None or near in str(caught.value).partition("did you mean")[2]


def test_a_former_name_keeps_working_and_a_line_says_the_new_one(caplog):
    with caplog.at_level(logging.WARNING):
        assert published("amoebanet") == parse(TEXTS["amoebanet_as_in_darts"])
    assert caplog.messages == ["published genotype amoebanet: is called amoebanet_as_in_darts now"]


def test_a_published_cell_may_hold_none_with_a_warning(caplog, monkeypatch):
    monkeypatch.setattr(PUBLISHED, "_items", dict(PUBLISHED._items))
    monkeypatch.setattr(PUBLISHED, "_origins", dict(PUBLISHED._origins))
    cell = {"normal": [["skip_connect", 0], ["none", 1]], "normal_concat": [2]}
    sparse = parse(json.dumps({**cell, "reduce": cell["normal"], "reduce_concat": [2]}))
    PUBLISHED.add("sparse", Published(sparse, "a test, 2019"))
    with caplog.at_level(logging.WARNING):
        assert published("sparse") == sparse == ZOO["sparse"].genotype
    assert caplog.messages == ["published genotype sparse: holds operations 'none', which pass nothing on"]
    with pytest.raises(UserError, match="the name is already taken"):
        PUBLISHED.add("darts_v2", Published(sparse, "a test, 2019"))
