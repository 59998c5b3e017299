"""Texts as numbers, and how they are cut into sequences."""

import math
import random
from collections import Counter

import pytest
import torch

from darts_pl.data import (
    BatchLoader,
    Lengths,
    Loading,
    RetrainText,
    SearchText,
    TextSettings,
    load_corpus,
    unigram_perplexity,
)
from darts_pl.data.text.batches import (
    NOT_COUNTED,
    EvaluationSequences,
    PairedSequences,
    TrainSequences,
    bounds,
    columns,
)
from darts_pl.data.text.corpus import END, number_words
from darts_pl.errors import UserError

PTB = {"train": "the cat sat\nthe dog\n", "valid": "a cat\n", "test": "the end\n"}


def write_splits(folder, form, texts=PTB):
    for split, text in texts.items():
        (folder / form.format(split)).write_text(text, encoding="utf-8")
    return str(folder)


def lines_of(count, words=3):
    return "".join(f"w{i % 7} x{i % 5} y{i % 3}\n"[: 4 * words] for i in range(count))


@pytest.mark.parametrize(
    ("name", "form"),
    [("ptb", "ptb.{}.txt"), ("ptb", "{}.txt"), ("wikitext2", "wiki.{}.tokens"), ("wikitext2", "{}.txt")],
)
def test_words_are_numbered_as_they_appear_in_all_three_files_with_an_end_for_each_line(name, form, tmp_path):
    corpus = load_corpus(name, write_splits(tmp_path, form))
    assert corpus.words == ("the", "cat", "sat", END, "dog", "a", "end")
    assert [corpus.train.tolist(), corpus.valid.tolist(), corpus.test.tolist()] == [
        [0, 1, 2, 3, 0, 4, 3],
        [5, 1, 3],
        [0, 6, 3],
    ]


def test_another_text_than_the_published_penn_treebank_is_warned_of(tmp_path, caplog):
    load_corpus("ptb", write_splits(tmp_path, "ptb.{}.txt"))
    assert "7, 3 and 3 tokens and 7 words" in caplog.text
    assert "929589, 73760, 82430 and 10000" in caplog.text


def test_an_own_text_is_split_80_10_10_by_lines(tmp_path):
    (tmp_path / "own.txt").write_text("".join(f"line {i}\n" for i in range(20)), encoding="utf-8")
    corpus = load_corpus("text", str(tmp_path / "own.txt"))
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [16 * 3, 2 * 3, 2 * 3]
    assert [corpus.words[i] for i in corpus.test] == ["line", "18", END, "line", "19", END]


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path):
    (tmp_path / "own.txt").write_bytes(b"\xef\xbb\xbf" + b"the cat\r\n" * 10)
    assert load_corpus("text", str(tmp_path / "own.txt")).words == ("the", "cat", END)


def test_a_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "own.txt").write_text(lines_of(20), encoding="utf-8")
    (tmp_path / "ptb").mkdir()
    write_splits(tmp_path / "ptb", "ptb.{}.txt")
    assert torch.equal(load_corpus("text", "~/own.txt").train, load_corpus("text", str(tmp_path / "own.txt")).train)
    assert load_corpus("ptb", "~/ptb").words == load_corpus("ptb", str(tmp_path / "ptb")).words
    with pytest.raises(UserError, match="~nobody_of_that_name/x: No such file"):
        load_corpus("text", "~nobody_of_that_name/x")


def test_the_bundled_text_is_large_enough_to_learn_from():
    corpus = load_corpus("pydocs")
    assert len(corpus.train) > 50_000
    assert min(len(corpus.valid), len(corpus.test)) > 5_000
    assert corpus.train.max() < len(corpus.words)


@pytest.mark.parametrize(
    ("name", "file", "content", "words"),
    [
        ("text", "own.txt", b"", "empty"),
        ("text", "own.txt", b" \n\n", "empty"),
        ("text", "own.txt", b"caf\xe9 au lait\n" * 20, "not UTF-8"),
        ("text", "own.txt", b"one line", "10 lines"),
        ("text", "other.txt", b"", "No such file.*data.path"),
        ("text", "own.txt/file", b"", "directory; data.path must name a UTF-8 text file"),
        ("ptb", "ptb.train.txt", b"only this one\n", "ptb.valid.txt.*simple-examples"),
        ("wikitext2", "x", b"", "wiki.train.tokens.*wikitext-2-v1.zip"),
    ],
)
def test_a_text_that_is_not_there_or_not_text_is_refused_in_one_line(name, file, content, words, tmp_path):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        load_corpus(name, str(tmp_path / "own.txt" if name == "text" else tmp_path))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["ptb", "wikitext2", "text", "klingon"])
def test_a_corpus_without_a_path_or_of_an_unknown_name_is_refused(name):
    with pytest.raises(UserError, match=r"data\.path=|known: ptb, wikitext2, text, pydocs"):
        load_corpus(name)


def test_the_unigram_perplexity_is_that_of_counted_frequencies():
    corpus = number_words("x", {"train": [["a", "a"], ["b"]], "valid": [["a"]], "test": [["a", "c"]]})
    counts = Counter({"a": 2, "b": 1, END: 2, "c": 0})
    probability = {word: (counts[word] + 1) / (5 + 4) for word in counts}
    expected = math.exp(-(math.log(probability["c"]) + math.log(probability[END])) / 2)
    assert unigram_perplexity(corpus) == pytest.approx(expected)


def test_sequences_cover_a_column_once_and_depend_on_seed_and_epoch_only():
    lengths = Lengths(35, 0.05)
    found = bounds(1000, lengths, seed=3, epoch=2)
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == 999
    assert found == bounds(1000, lengths, seed=3, epoch=2)
    assert found != bounds(1000, lengths, seed=3, epoch=3)
    assert found != bounds(1000, lengths, seed=4, epoch=2)


def test_a_search_reads_full_sequences_or_halves_and_a_language_model_lengths_around_them():
    generator = random.Random(0)
    search = Counter(Lengths(35, 0.05).draw(generator) for _ in range(4000))
    assert set(search) == {35, 17}
    assert 0.04 < search[17] / 4000 < 0.06
    final = [
        Lengths(35, short_probability=0.0, spread=5.0, min_length=5, max_length=40).draw(generator) for _ in range(4000)
    ]
    assert (min(final) >= 5, max(final)) == (True, 40)
    free = torch.tensor(
        [Lengths(35, 0.0, spread=5.0, min_length=5, max_length=99).draw(generator) for _ in range(4000)], dtype=float
    )
    assert abs(free.mean() - 34.5) < 0.3  # cut off to whole numbers
    assert abs(free.std() - 5) < 0.2
    halves = torch.tensor(
        [Lengths(35, 1.0, spread=5.0, min_length=5).draw(generator) for _ in range(4000)], dtype=float
    )
    assert abs(halves.mean() - 17) < 0.3
    assert min(Lengths(10, 1.0, spread=5.0, min_length=5).draw(generator) for _ in range(100)) == 5


def test_batches_hand_out_the_columns_from_top_to_bottom():
    rows = columns(torch.arange(101), 4)
    assert rows.shape == (25, 4)
    assert rows[:, 1].tolist() == list(range(25, 50))
    batches = TrainSequences(rows, Lengths(7, 0.3), seed=1, epoch=5)
    tokens, targets = (torch.cat(parts) for parts in zip(*(batches(5, i) for i in range(len(batches))), strict=True))
    assert torch.equal(tokens, rows[:-1])
    assert torch.equal(targets, rows[1:])


@pytest.mark.parametrize("paired", [False, True])
def test_a_loader_goes_through_the_whole_text_in_every_epoch_whatever_epoch_it_was_made_for(paired):
    rows = columns(torch.arange(400), 2)
    sequences = TrainSequences(rows, Lengths(7, 0.4), seed=1, epoch=2)
    loader = BatchLoader(PairedSequences(sequences, rows) if paired else sequences)
    numbers = []
    for epoch in range(6):
        loader.sampler.set_epoch(epoch)
        batches = [batch["train"] if paired else batch for batch in loader]
        numbers.append(len(batches))
        assert torch.equal(torch.cat([tokens for tokens, _ in batches]), rows[:-1])
    assert min(numbers) < len(loader) < max(numbers)


def test_the_valid_position_follows_the_train_position_and_wraps():
    train = TrainSequences(columns(torch.arange(200), 2), Lengths(10, 0.5), seed=0)
    valid_rows = columns(torch.arange(60), 2)
    paired = PairedSequences(train, valid_rows)
    for i, (start, stop) in enumerate(train.bounds(0)):
        pair = paired(0, i)
        assert torch.equal(pair["train"][0], train.rows[start:stop])
        begin = start % 29
        length = min(stop - start, 29 - begin)
        assert torch.equal(pair["valid"][0], valid_rows[begin : begin + length])
        assert torch.equal(pair["valid"][1], valid_rows[begin + 1 : begin + length + 1])


@pytest.mark.parametrize("batch_size", [1, 2, 7, 10])
@pytest.mark.parametrize("bptt", [3, 50])
def test_in_evaluation_every_word_but_the_first_is_a_target_exactly_once(batch_size, bptt):
    text = torch.arange(100, 145)
    batches = EvaluationSequences(text, batch_size, bptt)
    seen = []
    for i in range(len(batches)):
        tokens, targets = batches(0, i)
        counted = targets != NOT_COUNTED
        assert torch.equal(targets[counted], tokens[counted] + 1)
        seen += targets[counted].tolist()
    assert sorted(seen) == text[1:].tolist()


def test_ranks_share_the_columns():
    text = torch.arange(50)
    whole = EvaluationSequences(text, 4, 100)
    parts = [EvaluationSequences(text, 2, 100, rank, 2) for rank in range(2)]
    assert torch.equal(torch.cat([part.tokens for part in parts], dim=1), whole.tokens)


def module(purpose, corpus, batch_size=4, **changes):
    given = {"name": "own", "path": None, "batch_size": None, "fraction": 1.0}
    given |= {"eval_batch_size": 2, "test_batch_size": 1} | changes
    return purpose(corpus, TextSettings(**given), Loading(batch_size, seed=0), Lengths(5))


def test_a_text_shorter_than_one_batch_is_refused_and_a_search_keeps_no_test_text(tmp_path):
    (tmp_path / "own.txt").write_text(lines_of(40), encoding="utf-8")
    corpus = load_corpus("text", str(tmp_path / "own.txt"))
    search = module(SearchText, corpus)
    assert not any(value is corpus.test for value in vars(search).values())
    assert len(list(search.train_dataloader())) == len(search.train_dataloader())
    for purpose, changes, words in (
        (SearchText, {"batch_size": 9}, "valid text .* 16 words; batch_size=9 needs 18"),
        (RetrainText, {"batch_size": 100}, "train text .* 128 words; batch_size=100 needs 200"),
        (RetrainText, {"eval_batch_size": 9}, r"data\.eval_batch_size=9"),
        (RetrainText, {"test_batch_size": 9}, r"test text .*; data\.test_batch_size=9"),
        (RetrainText, {"batch_size": 0}, "batch_size=0: must be at least 1"),
        (RetrainText, {"test_batch_size": 0}, r"data\.test_batch_size=0: must be at least 1"),
        (RetrainText, {"fraction": 0.0}, r"data\.fraction=0\.0: must be above 0, at most 1"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            module(purpose, corpus, **changes)
        assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.real_data("ptb")
def test_penn_treebank_has_its_published_size(caplog, real_data):
    corpus = load_corpus("ptb", str(real_data))
    sizes = (len(corpus.train), len(corpus.valid), len(corpus.test), len(corpus.words))
    assert sizes == (929_589, 73_760, 82_430, 10_000)
    assert not caplog.text
