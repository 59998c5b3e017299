"""Small and real search spaces, and small settings of every strategy."""

from pathlib import Path

import pytest
import yaml

from darts_pl.spaces import CellSpace, SearchSpace, build_space
from darts_pl.strategies import STRATEGIES, Encoding

CONF = Path(__file__).parents[2] / "conf" / "strategy"

OPERATIONS = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3")
TABLE_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

#: What makes a strategy of conf/strategy small enough for a test of a few dozen questions.
SMALL = {
    "bayesian": {"initial": 4, "pool": 6, "generations": 2, "parents": 3},
    "bayesian_transport": {"initial": 4, "pool": 4, "generations": 1, "parents": 3},
    "enas": {"hidden": 8, "batch": 3, "steps": 2, "choices": 4},
    "evolution": {"population": 8, "sample": 3},
    "nsga2": {"population": 6},
    "optuna": {"initial": 5, "population": 6},
    "pnas": {"beam": 4, "steps": 15, "hidden": 8, "completions": 3},
    "q_learning": {"replays": 5, "speed": 100.0},
    "reinforce": {"hidden": 8, "batch": 2},
    "successive_halving": {"max_epochs": 9, "min_epochs": 1},
}
FILES = sorted(path.stem for path in CONF.glob("*.yaml"))
#: The files without those whose strategy differs from another's in its numbers only.
DIFFERENT = [file for file in FILES if file not in ("enas_rnn", "evolution_small", "pnas_paper", "reinforce_nasnet")]


def settings_of(file: str) -> dict:
    """The settings of conf/strategy/FILE.yaml."""
    return yaml.safe_load((CONF / f"{file}.yaml").read_text(encoding="utf-8"))


def small(file: str, encoding: Encoding, seed: int = 0):
    """The strategy of conf/strategy/FILE.yaml, made small."""
    settings = settings_of(file) | SMALL.get(file, {})
    strategy = STRATEGIES.get(settings.pop("name"))
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    return strategy(encoding, strategy.settings_class(**values), seed)


def fully_connected(operations=TABLE_OPERATIONS, nodes=3) -> Encoding:
    """A cell with one operation on every edge."""
    edges = nodes * (nodes + 1) // 2
    cell = CellSpace(1, nodes, 1, (tuple(operations),) * edges)
    return Encoding(SearchSpace("rnn", {"recurrent": cell}), every_edge=True)


ENCODINGS = {
    "cnn": Encoding(build_space("cnn", OPERATIONS, 3)),
    "rnn": Encoding(build_space("rnn", ("none", "tanh", "relu", "identity"), 4)),
    "fully_connected": fully_connected(),
}


@pytest.fixture(params=list(ENCODINGS))
def encoding(request) -> Encoding:
    return ENCODINGS[request.param]
