"""The published cells of the methods after DARTS, as they were collected from the authors' repositories."""

import json

import pytest

from darts_pl.genotype import KINDS, parse

pytestmark = pytest.mark.parity


def test_every_published_cell_is_read_as_it_was_published(published_cells_file):
    facts = json.loads(published_cells_file.read_text(encoding="utf-8"))["facts"]
    assert len(facts) == 43
    for name, fact in facts.items():
        published = fact["genotype"]
        genotype = parse(json.dumps(published))
        assert genotype.kind == published["kind"], name
        assert genotype.cells, name
        for cell_type, cell in genotype.cells.items():
            sizes = published.get(f"{cell_type}_inputs")
            usual = KINDS.get(genotype.kind).inputs_per_node
            assert [list(pair) for pair in cell.pairs] == published[cell_type], name
            assert [len(node) for node in cell.nodes] == (sizes or [usual] * (len(cell.pairs) // usual)), name
            concat = published["concat" if genotype.kind == "rnn" else f"{cell_type}_concat"]
            assert list(cell.concat) == concat, name
        if fact["genotype_text"] is not None:
            assert parse(fact["genotype_text"]) == genotype, name
            assert str(genotype) == fact["genotype_text"], name
