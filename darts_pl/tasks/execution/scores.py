"""Which numbers of a summary people look at first, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator

from darts_pl.records.folder import Summary
from darts_pl.report import accuracy_interval

#: Name in the summary, what the screen calls it, how it is written.
SCORES = (
    ("strategy/score", "best score", "{:.4f}"),
    ("strategy/score_low", "best score, 95 % from", "{:.4f}"),
    ("strategy/score_high", "best score, 95 % to", "{:.4f}"),
    ("strategy/score_mean", "all scores, mean", "{:.4f}"),
    ("strategy/score_std", "all scores, spread", "{:.4f}"),
    ("latency/rank_correlation", "rank correlation of the latencies", "{:.3f}"),
    ("latency/mean_error", "mean error of the latencies", "{:.1%}"),
    ("search/valid_accuracy", "search valid accuracy", "{:.4f}"),
    ("search/valid_loss", "search valid loss", "{:.4f}"),
    ("retrain/valid_accuracy", "valid accuracy", "{:.4f}"),
    ("retrain/best_valid_accuracy", "valid accuracy, best epoch", "{:.4f}"),
    ("test/accuracy", "test accuracy", "{:.4f}"),
    ("random/test_accuracy", "test accuracy, random cells", "{:.4f}"),
    ("compare/test_accuracy", "test accuracy, {network}", "{:.4f}"),
    ("test/top5", "test top 5", "{:.4f}"),
    ("table/cifar10_test", "table, CIFAR-10 test", "{:.2f}"),
    ("table/rank", "table, rank", "{:,.0f}"),
    ("table/random_mean", "random cells, mean", "{:.2f}"),
    ("table/random_std", "random cells, spread", "{:.2f}"),
    ("search/valid_perplexity", "search perplexity", "{:.2f}"),
    ("retrain/best_valid_perplexity", "valid perplexity", "{:.2f}"),
    ("test/perplexity", "test perplexity", "{:.2f}"),
    ("random/test_perplexity", "test perplexity, random cells", "{:.2f}"),
    ("unigram/perplexity", "test perplexity, word-frequency baseline", "{:.2f}"),
)

#: What is no score, likewise.
SIZES = (
    ("parameters", "parameters", "{:,.0f}"),
    ("multiply_adds", "multiply-adds", "{:,.0f}"),
    ("compare/parameters", "parameters, {network}", "{:,.0f}"),
    ("compare/multiply_adds", "multiply-adds, {network}", "{:,.0f}"),
    ("seconds", "seconds", "{:.0f}"),
)


def shown(summary: Summary) -> Iterator[tuple[str, str]]:
    """Label and value of what is printed at the end of a run, an accuracy on the test split with its 95 % interval."""
    for name, label, form in SCORES + SIZES:
        if name not in summary:
            continue
        label = label.format(network=summary.get("compare/network"))
        cells = summary.get("random/cells") if name.startswith("random/test_") else None
        if not isinstance(cells, int):
            yield label, _written(summary, name, form)
            continue
        for number in range(1, cells + 1):
            one = label.removesuffix("s") + (f" {number}" if cells > 1 else "")
            yield one, _written(summary, f"{name}_{number}", form)
        if cells > 1:
            yield f"{label}, mean", f"{form.format(summary[name])} ± {form.format(summary[f'{name}_std'])}"


def _written(summary: Summary, name: str, form: str) -> str:
    value, images = summary[name], summary.get("test/images")
    if "test" not in name or "accuracy" not in name or not isinstance(value, float) or not isinstance(images, int):
        return form.format(value)
    low, high = accuracy_interval(value, images)
    return f"{form.format(value)}  (95 % interval {low:.4f} to {high:.4f})"
