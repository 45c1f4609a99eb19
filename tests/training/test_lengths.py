from datagen.training.lengths import Grouped, longest


def test_a_row_is_as_long_as_its_longest_sequence() -> None:
    assert longest({"input_ids": [1, 2]}) == 2
    assert longest({"answer_ids": [[1, 2], [1, 2, 3], [1]]}) == 3
    assert longest({"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 5, 6]}) == 5


def test_every_row_comes_once_among_its_like() -> None:
    lengths = [number * 7 % 100 for number in range(2000)]
    order = list(Grouped(lengths, 10, 0, lambda: 0))
    assert sorted(order) == list(range(2000))
    padded = sum(10 * max(lengths[at] for at in order[start : start + 10]) for start in range(0, 2000, 10))
    assert padded < 1.1 * sum(lengths)


def test_an_epoch_has_its_order_whatever_went_before_it() -> None:
    """So that a killed training sees each row of the epoch once."""
    now = [0]
    first, rows = Grouped(list(range(40)), 4, 7, lambda: now[0]), list(range(40))
    before = list(first)
    now[0] = 1
    assert list(Grouped(rows, 4, 7, lambda: 1)) == list(first) != before
    assert list(Grouped(rows, 4, 8, lambda: 0)) != before
