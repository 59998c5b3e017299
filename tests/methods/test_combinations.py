"""Parts of methods that combine, and what is refused because it makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from darts_pl.cli import main
from tests.methods.conftest import search

NO_WARM_UP = ("stages.warmup_epochs=0",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("method=nosuch",), "nosuch"),
        (("method=pc_darts", "search.init_channels=6"), "edges.k=4: must divide"),
        (("method=pc_darts", "edges.k=0"), "edges.k=0: must be at least 1"),
        (("method=gdas", "relaxation.tau_min=0"), "relaxation.tau_min=0.0: must be above 0"),
        (("method=gdas", "relaxation.tau_max=0.01"), "must be at most tau_max=0.01"),
        (("method=gdas", "regulariser=kl"), "add relaxation=dirichlet"),
        (("method=dr_nas", "stages.keep=[0]"), "stages.keep=[0]: must be"),
        (("method=dr_nas", "edges=plain"), "add edges=partial_channels"),
        (("method=dr_nas", "stages.k=[12]"), "stages.k=[12]: must start at most at edges.k=6"),
        (("method=dr_nas", "stages.k=[4,2]"), "must have as many entries as keep=[4]"),
        (("method=dr_nas", "search.epochs=5", "search.init_channels=12"), "search.epochs=5: must be a multiple of 2"),
        (("method=pc_darts", "search=rnn", "data=pydocs"), "vectors without channels"),
        (("method=p_darts", "stages.keep=[5,0]"), "stages.keep=[5, 0]: must be one or more numbers, each at least 1"),
        (("method=p_darts", "stages.keep=[8,3]"), "stages.keep=[8, 3]: must start below 8, the candidates of an edge"),
        (("method=p_darts", "search=cnn_s2"), "must start below 2, the candidates of an edge"),
        (("method=p_darts", "stages.keep=[3,5]"), "stages.keep=[3, 5]: must not rise"),
        (("method=p_darts", "stages.added_layers=[6]"), "must have as many entries as keep=[5, 3]"),
        (("method=p_darts", "stages.added_layers=[6,2]"), "stages.added_layers=[6, 2]: must not fall"),
        (("method=p_darts", "search.epochs=50"), "search.epochs=50: must be a multiple of 3"),
        (("method=p_darts", "search.epochs=15"), "stages.warmup_epochs=10: must be below 5, the epochs of each stage"),
        (("method=dr_nas", "search.epochs=20", "search.init_channels=12"), "must be below 10, the epochs of each"),
        (("stages.warmup_epochs=3", "search.epochs=3"), "stages.warmup_epochs=3: must be below search.epochs=3"),
        (("method=p_darts", "time_budget=1h"), "time_budget=1h with stages=deepening: measures one supernet"),
        (("method=p_darts", "skip.rates=[0.1,0.2]", "search.epochs=3", *NO_WARM_UP), "2 rates for 3 stages; give one"),
        (("method=p_darts", "skip.rates=[1.0]"), "skip.rates=[1.0]: must be one or more numbers"),
        (("method=p_darts", "stages=single"), "3 rates for 1 stage; give one, such as skip.rates=[0.7]"),
        (("method=p_darts", "search=nasbench201"), "search.space=nasbench201 does not have; add stages=single"),
        (("method=p_darts", "search=rnn", "data=pydocs", "select=magnitude"), "search.space=rnn does not have"),
        (("method=darts", "skip=dropout", "search=rnn", "data=pydocs"), "add skip=plain"),
        (("method=darts_minus", "search=rnn", "data=pydocs"), "passes its input on by its gate already"),
        (("method=darts_minus", "skip.schedule=square"), "skip.schedule=square: must be one of linear, cosine"),
        (("method=fair_darts", "select.threshold=1.5"), "select.threshold=1.5: must be 0 to 1"),
        (("method=fair_darts", "select.threshold=-0.1"), "select.threshold=-0.1: must be 0 to 1"),
        (("method=fair_darts", "relaxation=softmax"), "add relaxation=sigmoid"),
        (("method=fair_darts", "regulariser.form=cubic"), "regulariser.form=cubic: must be one of squared, absolute"),
        (("method=fair_darts", "search=nasbench201", "select.form=edge"), "use select.form=sparse"),
        (("edges=drop_path", "search=rnn", "data=pydocs"), "vectors without channels"),
        (("edges=drop_path", "edges.rate=1"), "edges.rate=1.0: must be at least 0, below 1"),
        (("method=sdarts_rs", "perturbation.epsilon_max=0"), "perturbation.epsilon_max=0.0: must be above 0"),
        (("method=sdarts_rs", "perturbation.epsilon_min=0.5"), "must be at most epsilon_max=0.3"),
        (("method=sdarts_adv", "perturbation.steps=0"), "perturbation.steps=0: must be at least 1"),
        (("method=r_darts", "observers.early_stop.every=0"), "observers.early_stop.every=0: must be at least 1"),
        (("observers=[adaptive_decay]", "observers.adaptive_decay.multiply=1"), "multiply=1.0: must be above 1"),
        (("method=oles", "observers.freeze.threshold=2"), "observers.freeze.threshold=2.0: must be -1 to 1"),
        (("method=oles", "search=rnn", "data=pydocs"), "search.space=rnn have no weights to freeze"),
        (("order=neumann", "order.terms=0"), "order.terms=0: must be at least 1"),
        (("order=neumann", "order.step_size=0"), "order.step_size=0.0: must be above 0, or null"),
        (("order=unrolled", "order.steps=0"), "order.steps=0: must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = () if any("data=" in one for one in arguments) else ("data=digits",)
    assert main([*data, *arguments, f"hydra.run.dir={tmp_path / 'refused'}"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1, error


@pytest.mark.parametrize(
    "arguments",
    [
        ("method=pc_darts", "order=second"),
        ("method=pc_darts", "relaxation=gumbel"),
        ("method=gdas", "relaxation=softmax"),
        ("method=gdas", "order=second"),
        ("method=darts", "relaxation=dirichlet", "regulariser=kl"),
        ("method=dr_nas", "stages=single", "edges=plain"),
        ("method=gdas", "search=cnn_gdas", "search.layers=3", "search.nodes=2"),
        ("method=darts_minus", "select=perturbation", "select.tune_epochs=1", "search.candidates=[none,skip_connect]"),
        ("method=darts_minus", "order=second_exact"),
        ("method=pc_darts", "skip=auxiliary"),
        ("method=dr_nas", "skip=auxiliary", "edges.k=4", "stages.k=[2]", "stages.warmup_epochs=0", "search.epochs=2"),
        ("method=gdas", "skip=auxiliary"),
        ("method=pc_darts", "skip=dropout"),
        ("method=fair_darts", "skip=dropout", "order=second"),
        ("method=p_darts", "skip=plain", *NO_WARM_UP, "search.epochs=3", "stages.added_layers=[1,2]"),
        ("method=p_darts", "edges=partial_channels", *NO_WARM_UP, "search.epochs=3", "stages.added_layers=[1,2]"),
        ("method=sdarts_adv", "relaxation=gumbel", "edges=single_path", "observers=[freeze,skip_count]"),
        ("method=pc_darts", "perturbation=random", "observers=[curvature,gradient_alignment]"),
        ("method=oles", "search=cnn_s1", "search.nodes=4", "search.layers=3", "edges=drop_path"),
        ("method=r_darts", "relaxation=dirichlet", "order=neumann", "perturbation=random"),
        ("method=oles", "order=unrolled", "observers.freeze.window=1"),
    ],
    ids=" ".join,
)
@pytest.mark.slow
def test_parts_of_different_methods_combine_and_move_alphas_and_weights(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    small = ("search.init_channels=4", "search.epochs=1")
    assert search(tmp_path, *small, *arguments) == 0
    with np.load(tmp_path / "alphas.npz") as alphas:
        for name in ("normal", "reduce"):
            assert not np.array_equal(alphas[name][0], alphas[name][-1])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert 0 < summary["search/valid_accuracy"] <= 1
