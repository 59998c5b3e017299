"""What a run says while it is active, with a clock that the test sets."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from darts_pl.callbacks.progress import EPOCH_LINE_METRICS, EpochLines, progress_callbacks
from darts_pl.callbacks.screen.announcement import Announcement
from darts_pl.callbacks.screen.bar import StageBar
from darts_pl.callbacks.screen.durations import duration, memory, per_step
from darts_pl.callbacks.screen.heartbeat import Heartbeat
from darts_pl.callbacks.screen.lines import WIDTH, joined, paragraph, table

CPU: Any = SimpleNamespace(device=torch.device("cpu"))


class Clock:
    """Seconds that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def trainer(**changes: Any) -> Any:
    """As much of a Trainer as the callbacks read: six epochs of 100 steps, nothing done."""
    current = SimpleNamespace(ready=changes.pop("done", 0))
    loop = SimpleNamespace(
        restarting=changes.pop("restarting", False),
        epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(current=current)),
    )
    values = {
        "is_global_zero": True,
        "current_epoch": 0,
        "global_step": 0,
        "max_epochs": 6,
        "num_training_batches": 100,
        "num_val_batches": [40],
        "num_test_batches": [40],
        "enable_validation": True,
        "callback_metrics": {},
        "fit_loop": loop,
    }
    return SimpleNamespace(**values | changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (duration(89.4), "89 s"),
        (duration(420), "7 min"),
        (duration(12_000), "3 h 20 min"),
        (duration(2 * 86_400 + 5 * 3600), "2 days 5 h"),
        (per_step(0.0034), "3.4 ms/step"),
        (per_step(0.82), "0.82 s/step"),
        (per_step(41.2), "41 s/step"),
        (memory(640e6), "640 MB"),
        (memory(11.2e9), "11.2 GB"),
    ],
)
def test_times_and_sizes_are_written_with_their_units(text: str, expected: str) -> None:
    assert text == expected


def test_no_line_is_wider_than_100_columns_and_no_word_is_lost() -> None:
    words = [f"word{number}" for number in range(60)]
    for text in (joined("search 1/6", words), paragraph("  data  ", " ".join(words)), table({"data": " ".join(words)})):
        assert max(map(len, text.splitlines())) <= WIDTH == 100
        assert [word for word in text.split() if word.startswith("word")] == words
    assert joined("a", ["x" * 200]) == f"a  {'x' * 200}"  # a path stays whole


def test_every_number_of_an_epoch_has_its_own_label_in_lines_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    lines = EpochLines("search")
    search = [name for name, _ in EPOCH_LINE_METRICS if name.startswith("search/")]
    values = {name: torch.tensor(float(number)) for number, name in enumerate(search)}
    lines.on_train_start(trainer(), CPU)
    lines.on_train_epoch_end(trainer(callback_metrics=values), CPU)
    printed = capsys.readouterr().out
    assert printed.startswith("search 1/6  train loss 0.000  train accuracy 1.000")
    assert max(map(len, printed.splitlines())) <= 100
    labels = [form.partition("{")[0] for name, form in EPOCH_LINE_METRICS if name.startswith("search/")]
    shown_together = {label for label in labels if labels.count(label) > 1}
    assert shown_together == {"entropy "}  # of spaces with one cell type, of which a run has one


def test_the_bar_names_the_stage_and_counts_epochs_as_the_lines_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True))
    (bar,) = [one for one in progress_callbacks("random_2") if isinstance(one, StageBar)]
    bar._trainer = trainer()
    assert bar._get_train_description(0) == "random_2 1/6"
    assert bar._get_train_description(5) == "random_2 6/6"
    assert (bar.validation_description, bar.test_description) == ("random_2 validation", "random_2 test")


def test_a_file_gets_a_heartbeat_in_place_of_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: False))
    assert [type(one) for one in progress_callbacks("search")] == [EpochLines, Heartbeat]


def test_a_run_says_what_it_is_and_a_later_part_only_what_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    said: dict[str, str] = {}
    entries = {"data": "digits", "network": "small"}
    Announcement("search", lambda _: entries, said).on_train_start(trainer(), CPU)
    assert capsys.readouterr().out == "search\n  data      digits\n  network   small\n"
    Announcement("retrain", lambda _: entries | {"network": "large"}, said).on_train_start(trainer(), CPU)
    assert capsys.readouterr().out == "\nretrain\n  network   large\n"
    Announcement("random", lambda _: {"data": "other"}, said).on_train_start(trainer(is_global_zero=False), CPU)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("state", "headline"),
    [
        (
            {"global_step": 237, "current_epoch": 2, "restarting": True, "done": 37},
            "resumed in epoch 3/6, after step 37",
        ),
        ({"global_step": 200, "current_epoch": 2}, "resumed in epoch 3/6"),
        ({"global_step": 600, "current_epoch": 6}, "resumed: all 6 epochs were done"),
    ],
)
def test_a_run_that_is_continued_says_where(
    state: dict[str, Any], headline: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Announcement("search", lambda _: {"data": "digits"}, {}).on_train_start(trainer(**state), CPU)
    assert capsys.readouterr().out.splitlines()[0] == f"search, {headline}"


def test_the_time_is_estimated_once_from_the_steps_after_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    announcement = Announcement("search", lambda _: {}, {}, clock)
    for step in range(1, 9):
        clock.now += 50.0 if step == 1 else 0.5
        announcement.on_train_batch_end(trainer(done=step), CPU, None, None, step - 1)
    printed = capsys.readouterr().out
    # After step 6, five steps of 0.5 s are timed, and 594 of 600 are left: 297 s.
    assert printed.splitlines()[0] == (
        "  time      0.50 s/step, so about 5 min for the remaining 594 steps, without validation"
    )
    assert printed.splitlines()[1].startswith("  memory    ")
    assert printed.count("time") == 1


def test_no_time_is_estimated_where_no_step_remains(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    announcement = Announcement("search", lambda _: {}, {}, clock)
    for step in range(1, 7):
        clock.now += 0.5
        state = trainer(done=step, max_epochs=1, num_training_batches=6)
        announcement.on_train_batch_end(state, CPU, None, None, step - 1)
    printed = capsys.readouterr().out
    assert "time" not in printed
    assert printed.startswith("  memory    ")


def test_long_steps_are_not_timed_for_long(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    announcement = Announcement("search", lambda _: {}, {}, clock)
    for step in (1, 2):
        clock.now += 36.0
        announcement.on_train_batch_end(trainer(done=step, enable_validation=False), CPU, None, None, step - 1)
    printed = capsys.readouterr().out
    assert printed.startswith("  time      36 s/step, so about 5 h 59 min for the remaining 598 steps\n")


def beating(clock: Clock, **others: Any) -> Heartbeat:
    heartbeat = Heartbeat("search", clock=clock, **others)
    heartbeat.spoken()
    return heartbeat


def test_a_long_epoch_gets_a_line_every_minute_with_the_loss(capsys: pytest.CaptureFixture[str]) -> None:
    clock, now = Clock(), trainer(current_epoch=1, callback_metrics={"loss": torch.tensor(1.25)})
    heartbeat = beating(clock)
    times = []
    for step in range(100):
        heartbeat.on_train_batch_start(now, CPU, None, step)
        clock.now += 3.0
        heartbeat.on_train_batch_end(now, CPU, None, None, step)
        if printed := capsys.readouterr().out:
            times.append(clock.now)
            last = printed
    assert max(later - earlier for earlier, later in zip([0.0, *times], [*times, 300.0], strict=True)) <= 60
    assert last == "search 2/6  step 95 of 100  train loss 1.250  3.00 s/step, 15 s left in this epoch\n"


def test_a_long_validation_is_noticed_and_its_time_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    clock, now = Clock(), trainer(current_epoch=1)
    heartbeat = beating(clock, look=0.002)
    heartbeat.setup(now, CPU, "fit")
    try:
        for batch in range(10):
            heartbeat.on_validation_batch_start(now, CPU, None, batch)
            clock.now += 7.0
        deadline = time.monotonic() + 10
        printed = ""
        while "left" not in printed and time.monotonic() < deadline:
            printed += capsys.readouterr().out
            time.sleep(0.002)
    finally:
        heartbeat.teardown(now, CPU, "fit")
    assert "validation batch 9 of 40" in printed
    assert "s/batch" in printed
    assert "left in this validation" in printed


def test_one_step_of_many_minutes_is_noticed_while_it_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    clock, now = Clock(), trainer()
    heartbeat = beating(clock, look=0.002)
    heartbeat.setup(now, CPU, "fit")
    try:
        heartbeat.on_train_batch_start(now, CPU, None, 0)
        clock.now = 61.0
        deadline = time.monotonic() + 10
        printed = ""
        while not printed and time.monotonic() < deadline:
            printed = capsys.readouterr().out
            time.sleep(0.002)
    finally:
        heartbeat.on_exception(now, CPU, RuntimeError())
    assert printed == "search 1/6  step 0 of 100  this step has taken 61 s so far\n"


def test_other_ranks_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock, other = Clock(), trainer(is_global_zero=False)
    heartbeat = beating(clock, look=0.002)
    heartbeat.setup(other, CPU, "fit")
    heartbeat.on_train_batch_start(other, CPU, None, 0)
    clock.now = 1000.0
    heartbeat.on_train_batch_end(other, CPU, None, None, 0)
    time.sleep(0.02)
    assert capsys.readouterr().out == ""
