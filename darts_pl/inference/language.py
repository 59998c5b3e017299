"""A trained language model with its words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from darts_pl.data.text.corpus import read_lines
from darts_pl.data.text.words import END, UNKNOWN, words_of_lines
from darts_pl.errors import UserError
from darts_pl.records import NetworkDescription, TextInput
from darts_pl.spaces import LanguageModel

#: Logits that are computed at once, at most.
LOGITS = 1 << 23


@dataclass(frozen=True)
class TextPrediction:
    """What a language model says about a text.

    Args:
        perplexity: of its words, the first of which is given; None of a text of one word.
        words: how many are predicted.
        unknown: words that are not in the vocabulary.
        left_out: how many of these were left out, because the vocabulary has no word for unknown ones.
        probabilities: of every word to be the next one, float [V] on the CPU.
        vocabulary: every word, by its number.
    """

    perplexity: float | None
    words: int
    unknown: tuple[str, ...]
    left_out: int
    probabilities: Tensor
    vocabulary: tuple[str, ...]

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The most probable next words and their probabilities, at most `count`."""
        values, numbers = self.probabilities.topk(min(count, len(self.vocabulary)))
        return [(self.vocabulary[n], p) for n, p in zip(numbers.tolist(), values.tolist(), strict=True)]

    def __str__(self) -> str:
        after = ", ".join(f"{word} {probability:.4f}" for word, probability in self.top())
        return f"next word: {after}" if self.perplexity is None else f"perplexity {self.perplexity:.2f}; {after}"


class TextModel(nn.Module):
    """A trained language model in evaluation mode: `predict` takes a text, or the path of one.

    Args:
        network: the language model.
        description: its words, and how a line becomes words.
        place: where it comes from, for messages.
    """

    def __init__(self, network: LanguageModel, description: NetworkDescription, place: str) -> None:
        super().__init__()
        assert isinstance(description.input, TextInput)
        self.network, self.description, self.input, self.place = network, description, description.input, place
        self._numbers = {word: number for number, word in enumerate(self.input.words or ())}
        self.eval()

    @property
    def words(self) -> tuple[str, ...]:
        """Every word, by its number.

        Raises:
            UserError: if they are not known.
        """
        if self.input.words is None:
            raise UserError(
                f"{self.place}: the words that it was trained on are not stored with this network; give them: "
                "darts_pl.load(FILE, words=[...])"
            )
        return self.input.words

    @property
    def missing(self) -> list[str]:
        """What a prediction needs and nobody stored: "vocabulary"."""
        return self.input.missing

    def forward(self, words: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits [T, B, V] of the word after each of `words`, and the hidden state [B, H] after the last.

        Args:
            words: numbers int64 [T, B].
            hidden: the state before them [B, H]; None = zero, the start of a text.
        """
        sequence = self.network(words, hidden)
        return sequence.logits, sequence.outputs[-1]

    def predict(self, text: str | Path) -> TextPrediction:
        """Perplexity of a text and the words that are likely to follow it.

        Args:
            text: the text itself; a `Path` is read as a UTF-8 file. It is read as one stream from its start, as
                task=test does with data.test_batch_size=1. A text that does not end with a line break is taken as
                unfinished: no end of line is predicted after its last word.

        Raises:
            UserError: if the file cannot be read, no word is in the vocabulary, or the words are not known.
        """
        what = str(text) if isinstance(text, Path) else "the text"
        numbers, unknown, left_out = self._tokens(text, what)
        if not numbers:
            raise UserError(f"{what}: none of its words is among the {len(self.words):,} words of this network")
        parameter = next(self.network.parameters())
        tokens = torch.tensor(numbers, device=parameter.device)[:, None]
        total, last = self._score(tokens)
        count = len(numbers) - 1
        perplexity = torch.tensor(total / count, dtype=torch.float64).exp().item() if count else None
        return TextPrediction(perplexity, count, unknown, left_out, last, self.words)

    def _score(self, tokens: Tensor) -> tuple[float, Tensor]:
        """The negative log likelihood in nats of tokens [T, 1] after the first, and the probabilities of the next."""
        total, hidden, length = 0.0, None, max(1, LOGITS // self.network.vocabulary)
        last = torch.empty(0)
        with torch.inference_mode():
            for start in range(0, len(tokens), length):
                logits, hidden = self(tokens[start : start + length], hidden)
                targets = tokens[start + 1 : start + 1 + length, 0]
                if len(targets):
                    losses = nn.functional.cross_entropy(logits[: len(targets), 0], targets, reduction="none")
                    total += losses.double().sum().item()
                last = logits[-1, 0].softmax(0).cpu()
        return total if math.isfinite(total) else math.inf, last

    def _tokens(self, text: str | Path, what: str) -> tuple[list[int], tuple[str, ...], int]:
        """(numbers, different unknown words, how many words were left out)."""
        if isinstance(text, Path):
            lines = read_lines(text, "input")
            finished = text.read_bytes().endswith(b"\n")
        else:
            lines, finished = text.removesuffix("\n").split("\n"), text.endswith("\n")
        if not "".join(lines).strip():
            raise UserError(f"{what}: is empty; give some words")
        found = [word for line in words_of_lines(lines, self.input.splitting) for word in (*line, END)]
        words = self.words
        if not finished and lines[-1].strip():
            found.pop()
        substitute = self._numbers.get(UNKNOWN)
        unknown = [word for word in found if word not in self._numbers]
        numbers = [self._numbers.get(word, substitute) for word in found]
        known = [number for number in numbers if number is not None]
        assert len(words) == self.network.vocabulary
        return known, tuple(dict.fromkeys(unknown)), len(numbers) - len(known)
