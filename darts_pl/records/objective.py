"""The result that a sweep maximises, with a minus sign where less is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Last words in the names of results of which less is better, such as search/valid_loss, table/regret, multiply_adds.
LESS_IS_BETTER = frozenset({"loss", "perplexity", "error", "regret", "rank", "seconds", "parameters", "adds", "ms"})


def sign_of(name: str) -> int:
    """-1 if less of a result is better, else 1.

    Args:
        name: in the summary of a run, such as "table/regret".
    """
    return -1 if name.rpartition("/")[2].rpartition("_")[2] in LESS_IS_BETTER else 1


def objective_of(summary: Mapping[str, Any], name: str) -> float | None:
    """The result of a run of which a sweep wants more; None if the run has no such result.

    For text, which has no accuracy, a perplexity takes its place. A trained language model has a perplexity of the
    valid split, which then replaces that of the test split.

    Args:
        summary: of the run.
        name: of the result, from `task.objective`.
    """
    perplexities = ["retrain/best_valid_perplexity"] if name.startswith("test/") else []
    perplexities.append(name.replace("accuracy", "perplexity"))
    for candidate in (name, *perplexities):
        value = summary.get(candidate)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return sign_of(candidate) * float(value)
    return None
