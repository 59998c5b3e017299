"""What every file and folder in the folder of a run is, in one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

#: Name, or path inside the folder of a run -> what it is.
FILE_HELP = {
    "README.md": "this page",
    "summary.json": "the result: a flat list of names with numbers and texts",
    "warnings.json": "what a colleague would warn of, and the commands that come next",
    "genotype.json": "the cell that was found or trained; `task=retrain genotype=` takes this file or the folder",
    "genotypes.jsonl": "the cell before the first epoch and after every epoch, one per line",
    "alphas.npz": (
        "architecture parameters before the first epoch and after every epoch: `normal` (or another cell type) is "
        "[epochs+1, edges, candidates], `edges.normal` [edges] and `candidates.normal` [edges, candidates] name its "
        "rows and columns"
    ),
    "metrics.csv": "losses, scores and times, one row per epoch",
    "data.json": "which data the run read: sizes, classes and checksums, not where they lie",
    "job.json": "how this job of a sweep ended",
    "report.html": "all of it on one page, for a browser",
    "cells.png": "the cells as a drawing",
    "cells.svg": "the same drawing, to be scaled",
    "checkpoints/last.ckpt": "weights, optimizers and positions after the last epoch; `resume=` goes on from here",
    "checkpoints/previous.ckpt": "the checkpoint before it, in case that one is damaged",
    "checkpoints/taken.ckpt": "the checkpoint of the earlier epoch whose cell a search took that was ended early",
    "runs.csv": "the runs that were collected, one row each",
    "runs.md": "the same as a table to read, with the genotypes",
    "run.json": "whether the run finished, why not, when, on which device and with which versions",
    "throughput.csv": "samples per second and memory, one row per epoch",
    "test.npz": "what the test split showed: confusion matrix and worst images, or the loss along the text",
    "network.json": "what the network reads and returns: genotype, sizes, normalisation, names of classes or words",
    "network.py": "the network as one file of plain PyTorch",
    "network.pt": "the weights that `network.py` loads",
    "network": "the network as a folder for a model hub: weights, configuration and model card",
    "predictions.csv": "what the network answered, one row per input",
    "network.onnx": "the network in ONNX",
    "network.pt2": "the network as a program of torch.export",
    "history.jsonl": "every genotype that was asked for, with its score, one per line",
    "strategy.json": "the state of the search without gradients, from which `resume=` goes on",
    "pareto.csv": "the genotypes that no other one beats in all objectives",
    "evaluation.json": "the scores and facts of the genotype that was evaluated",
    "initial_scores.json": "the scores at initialization that were computed so far",
    "time_budget.json": "what `time_budget` has chosen, kept for when the run goes on",
    "ranking.csv": "all genotypes with their scores, the best first",
    "selection.json": "the decisions of the selection rule, from which `resume=` goes on",
    "tuned.pt": "weights that the selection rule has tuned between two decisions",
    "decisions.json": "scores that were computed so far, from which `resume=` goes on",
    "latency.json": "the latency of every operation on this device",
    "scores.csv": "genotypes with the scores that were compared",
    "scores.json": "the same scores with their conditions",
    "scatter.png": "the scores against each other as a drawing",
    "scatter.svg": "the same drawing, to be scaled",
    "protocol.json": "the rows and the number of parts of the protocol",
    "table.md": "the tables of the protocol, to read",
    "table.csv": "the same numbers, one row per training",
    "rows.json": "the same rows, for another protocol with `task.beside=`",
    ".hydra": "the configuration: `config.yaml` with every value, `overrides.yaml` with what the command gave",
    "wandb": "records of Weights & Biases",
    "tensorboard": "records of TensorBoard",
    "mlflow": "records of MLflow",
    "comet": "records of Comet",
    "search": "the search, with the same kinds of files",
    "retrain": "the training of the cell that was found, with the same kinds of files",
    "random": "the training of a random cell in the same way, for comparison",
    "shared_weights": "the training of the weights that all genotypes share",
    "compare": "the training of the network of `compare=` in the same way",
    "samples": "the training of every genotype that was asked for, each in a folder of its own",
    "searches": "the searches, each in a folder of its own",
    "derived": "cells that other selection rules derived from the searches",
    "choice": "the short trainings among which the protocol chooses",
    "final": "the full trainings",
}
_RANDOM = re.compile(r"random_\d+")
_EPOCH = re.compile(r"epoch_\d+\.ckpt")


def help_of(path: str) -> str | None:
    """What a file or folder is; None for one that no run writes.

    Args:
        path: relative to the folder of the run, with "/".
    """
    folder, _, name = path.rpartition("/")
    if not folder and _RANDOM.fullmatch(name):
        return "the training of another random cell"
    if folder == "checkpoints" and _EPOCH.fullmatch(name):
        return "the checkpoint of an earlier epoch, to which the search may go back"
    return FILE_HELP.get(path)


def explained(folder: Path) -> Iterator[tuple[str, str]]:
    """(path, what it is) of everything in a run's folder that has an explanation, files first."""
    names = [path for path in sorted(folder.iterdir()) if path.name != "checkpoints"]
    names += sorted((folder / "checkpoints").glob("*"))
    for path in sorted(names, key=lambda path: path.is_dir()):
        relative = path.relative_to(folder).as_posix()
        text = help_of(relative)
        if text is not None:
            yield f"{relative}/" if path.is_dir() else relative, text
