from types import SimpleNamespace
from typing import Any

from datasets import Dataset

from datagen.training.lengths import group, longest


def test_a_row_is_as_long_as_its_longest_sequence() -> None:
    assert longest({"answer_ids": [[1, 2], [1, 2, 3], [1]]}) == 3
    assert longest({"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 5, 6]}) == 5


def test_the_sampler_is_told_the_lengths_of_both_parts_and_they_are_not_taken_for_unused() -> None:
    class Trainer(SimpleNamespace):
        def _set_signature_columns_if_needed(self) -> None:
            self._signature_columns = ["answer_ids"]

    rows = Dataset.from_list([{"answer_ids": [[1, 2], [1]]}, {"answer_ids": [[1], [1, 2, 3]]}])
    trainer: Any = Trainer(train_dataset=rows, eval_dataset=None, args=SimpleNamespace(length_column_name="x"))
    group(trainer)
    assert trainer.train_dataset[trainer.args.length_column_name] == [2, 3]
    assert trainer._signature_columns == ["answer_ids", "length"]
