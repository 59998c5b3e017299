"""Alphas -> genotype, against pairs recorded from the authors' code; ties among them."""

import json

import pytest
import torch

from darts_pl.genotype import from_pairs
from darts_pl.selection.magnitude import strongest
from darts_pl.spaces import build_space
from tests.paper import CANDIDATES

pytestmark = pytest.mark.parity


def test_every_recorded_pair_of_alphas_gives_its_genotype(genotypes_file):
    entries = json.loads(genotypes_file.read_text(encoding="utf-8"))
    assert entries
    for number, entry in enumerate(entries):
        nodes = len(entry["normal"]) // 2
        space = build_space("cnn", entry.get("candidates", CANDIDATES), nodes)
        weights = {
            name: torch.softmax(torch.tensor(entry[f"alphas_{name}"], dtype=torch.float64), dim=-1)
            for name in ("normal", "reduce")
        }
        concat = list(range(2, 2 + nodes))
        cells = {name: (entry[name], entry.get(f"{name}_concat", concat)) for name in ("normal", "reduce")}
        assert strongest(space, weights) == from_pairs("cnn", cells), f"{genotypes_file.name}, entry {number}"


def test_every_recorded_pair_of_alphas_of_the_restricted_spaces_gives_its_genotype(r_darts_genotypes_file):
    recorded = json.loads(r_darts_genotypes_file.read_text(encoding="utf-8"))
    assert recorded["cases"]
    for space_name, cases in recorded["cases"].items():
        lists = recorded["spaces"][space_name]
        space = build_space("cnn", [*lists["normal"], *lists["reduce"]], 4)
        for number, case in enumerate(cases):
            weights = {
                name: torch.softmax(torch.tensor(case[f"alphas_{name}"], dtype=torch.float64) / case["scale"], dim=-1)
                for name in ("normal", "reduce")
            }
            expected = from_pairs("cnn", {name: (case[name], [2, 3, 4, 5]) for name in ("normal", "reduce")})
            assert strongest(space, weights) == expected, f"{space_name}, case {number}"
