"""The sentence about found and random cells follows from the numbers."""

import pytest

from darts_pl.report import accuracy_interval, compare_accuracies, compare_perplexities


def test_an_interval_is_that_of_the_table_of_wilson():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, and 15 of 148.
    assert accuracy_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert accuracy_interval(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@pytest.mark.parametrize(
    ("right", "others", "sentence"),
    [
        (350, [349, 351, 347],
         "This search does not beat a random cell: the difference to the mean of 3 random cells, +0.0028, is not "
         "larger than the 95 % intervals."),
        (350, [320, 325],
         "The found cell beats the 2 random cells: the difference to the mean of 2 random cells, +0.0775, is larger "
         "than the 95 % intervals."),
        (350, [320, 340],  # one of them is as good
         "This search does not beat a random cell: the difference to the mean of 2 random cells, +0.0563, is not "
         "larger than the 95 % intervals."),
        (300, [350],
         "The found cell is worse than the random cell: the difference to the random cell, -0.1408, is larger than "
         "the 95 % intervals."),
    ],
)  # fmt: skip
def test_an_accuracy_is_better_only_where_its_interval_lies_above_those_of_all_random_cells(right, others, sentence):
    assert compare_accuracies(right / 355, [one / 355 for one in others], 355) == sentence


@pytest.mark.parametrize(
    ("found", "start"),
    [
        (23.1, "This search does not beat a random cell: the difference to the mean of 3 random cells, -4.90, is not"),
        (23.0, "The found cell beats the 3 random cells: the difference to the mean of 3 random cells, -5.00, is"),
        (33.0, "The found cell is worse than the 3 random cells"),
    ],
)
def test_a_perplexity_is_better_only_outside_the_interval_of_one_more_random_cell(found, start):
    sentence = compare_perplexities(found, [27.0, 28.0, 29.0])
    assert sentence.startswith(start)
    assert sentence.endswith("larger than their 95 % interval, 4.97.")  # 4.3027 (t, 2 degrees) * 1 * sqrt(4 / 3)


def test_the_perplexity_of_one_random_cell_proves_nothing():
    assert compare_perplexities(20.0, [30.0]) == (
        "One random cell shows no spread: the difference to the random cell, -10.00, proves nothing."
    )
