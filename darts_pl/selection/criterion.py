"""What selection rules judge a supernet by."""

from __future__ import annotations

from collections.abc import Iterator

from darts_pl.errors import UserError
from darts_pl.selection.score import Score
from darts_pl.settings import one_of
from darts_pl.spaces import Space

#: Accuracy, or the loss.
CRITERIA = one_of("accuracy", "loss")
#: What has no accuracy.
_WITHOUT_CLASSES = ("text",)


def harm(score: Score, criterion: str) -> float:
    """How bad a score is: the loss, or the accuracy with a minus sign.

    Raises:
        UserError: for the accuracy of something without classes.
    """
    if criterion == "loss":
        return score.loss
    if score.accuracy is None:
        raise UserError(NO_ACCURACY)
    return -score.accuracy


def misfits_of_criterion(criterion: str, space: Space) -> Iterator[str]:
    """Why a criterion cannot be used in a space."""
    if criterion == "accuracy" and space.data in _WITHOUT_CLASSES:
        yield NO_ACCURACY


def criterion_of(space: Space) -> str:
    """The criterion of the papers, or the one that a space has in its place."""
    return "loss" if any(misfits_of_criterion("accuracy", space)) else "accuracy"


NO_ACCURACY = "select.criterion=accuracy: a search on text has no accuracy; use select.criterion=loss"
