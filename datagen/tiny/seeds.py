"""Write the seed tasks (training side) and the test questions (held out): ``python -m datagen.tiny.seeds``."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from datagen.tiny import world
from datagen.tiny.skills import SKILLS
from datagen.tiny.world import Item

SEEDS = Path(__file__).parents[2] / "seeds"
SEED_TASKS, TEST_ITEMS, SEED = 110, 1600, 0
_CLASSIFICATION = {"member", "parity"}


def seed_tasks() -> list[dict[str, Any]]:
    """Every skill once, then tasks with rules and second parts, in Self-Instruct's format (arXiv 2212.10560)."""
    rng = Random(f"seeds-{SEED}")
    items: dict[str, Item] = {}
    for skill in SKILLS.values():
        part, text = world.draw_part(rng, held_out=False, skill=skill, inputs=0.3)
        instruction, _, given = text.partition("\n")
        items.setdefault(instruction, Item(instruction, given, part.answer(), skill.name))
    while len(items) < SEED_TASKS:
        item = world.draw(rng, novel=True, inputs=0.3)
        items.setdefault(item.instruction, item)
    rows = list(items.values())
    rng.shuffle(rows)
    return [_self_instruct_row(index, item) for index, item in enumerate(rows)]


def _self_instruct_row(index: int, item: Item) -> dict[str, Any]:
    return {
        "id": f"seed_task_{index}",
        "name": item.skill,
        "instruction": item.instruction,
        "instances": [{"input": item.input, "output": item.answer}],
        "is_classification": item.skill in _CLASSIFICATION,
    }


def test_rows() -> list[dict[str, str]]:
    """The held-out questions; ``output`` is a right answer, one of many where the oracle judges by rule."""
    fields = ("instruction", "input", "answer", "skill")
    names = ("instruction", "input", "output", "skill")
    return [
        {name: getattr(item, field) for name, field in zip(names, fields, strict=True)}
        for item in world.test_items(TEST_ITEMS, SEED)
    ]


test_rows.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks of its name


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Write both files."""
    SEEDS.mkdir(exist_ok=True)
    write(SEEDS / "tiny_tasks.jsonl", seed_tasks())
    write(SEEDS / "tiny_test.jsonl", test_rows())


if __name__ == "__main__":
    main()
