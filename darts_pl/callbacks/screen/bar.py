"""The progress bar of a terminal."""

from __future__ import annotations

from pytorch_lightning.callbacks import RichProgressBar


class StageBar(RichProgressBar):
    """A bar that names the stage and counts epochs as the lines do, from 1.

    Args:
        title: of the stage, such as "search", "retrain" or "random_2".
    """

    def __init__(self, title: str) -> None:
        super().__init__(leave=False)
        self.title = title

    def _get_train_description(self, current_epoch: int) -> str:
        epochs = self.trainer.max_epochs
        return f"{self.title} {current_epoch + 1}{f'/{epochs}' if epochs is not None and epochs > 0 else ''}"

    @property
    def validation_description(self) -> str:
        """What the bar of a validation is called."""
        return f"{self.title} validation"

    @property
    def test_description(self) -> str:
        """What the bar of the test is called."""
        return f"{self.title} test"
