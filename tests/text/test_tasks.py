"""The rules for instances that the tests of self_instruct do not reach."""

from __future__ import annotations

from datagen.text.parsing import Instance
from datagen.text.tasks import instance_flaws


class Watched(str):
    """A text that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Watched.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_an_instance_is_not_compared_with_all_before_it() -> None:
    instances = [Instance("", Watched(number)) for number in range(500)]
    assert instance_flaws([*instances, Instance("", Watched(7))], truncated=False) == [
        *[""] * 500,
        "duplicate_instance",
    ]
    assert Watched.compared < 5 * len(instances)
