"""Which numbers of a summary people look at first, and how they are written."""

#: Name in the summary, what the screen calls it, how it is written.
SCORES = (
    ("strategy/score", "best score", "{:.4f}"),
    ("latency/rank_correlation", "rank correlation of the latencies", "{:.3f}"),
    ("latency/mean_error", "mean error of the latencies", "{:.1%}"),
    ("search/valid_accuracy", "search valid accuracy", "{:.4f}"),
    ("search/valid_loss", "search valid loss", "{:.4f}"),
    ("test/accuracy", "test accuracy", "{:.4f}"),
    ("random/test_accuracy", "test accuracy, random cell", "{:.4f}"),
    ("test/top5", "test top 5", "{:.4f}"),
    ("table/cifar10_test", "table, CIFAR-10 test", "{:.2f}"),
    ("table/rank", "table, rank", "{:,}"),
    ("table/random_mean", "random cells, mean", "{:.2f}"),
    ("table/random_std", "random cells, spread", "{:.2f}"),
    ("search/valid_perplexity", "search perplexity", "{:.2f}"),
    ("retrain/best_valid_perplexity", "valid perplexity", "{:.2f}"),
    ("test/perplexity", "test perplexity", "{:.2f}"),
    ("random/test_perplexity", "test perplexity, random cell", "{:.2f}"),
    ("unigram/perplexity", "test perplexity, word-frequency baseline", "{:.2f}"),
)

#: What is no score, likewise.
SIZES = (
    ("parameters", "parameters", "{:,}"),
    ("multiply_adds", "multiply-adds", "{:,}"),
    ("seconds", "seconds", "{:.0f}"),
)
