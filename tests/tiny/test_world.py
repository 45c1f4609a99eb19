"""The world: every skill solves what it draws, parses what it says, and keeps its test side apart."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from datagen.tiny import base_corpus, oracle, roles, seeds, world
from datagen.tiny.skills import SKILLS

SEEDS = Path(__file__).parents[2] / "seeds"


def test_there_are_at_least_thirty_skills_with_several_wordings_each() -> None:
    assert len(SKILLS) >= 30
    assert all(len(skill.wordings) >= 4 for skill in SKILLS.values())


@pytest.mark.parametrize("name", SKILLS)
def test_every_wording_is_parsed_back_to_an_equal_task_and_solved(name: str) -> None:
    skill, rng = SKILLS[name], Random(name)
    for wording in range(len(skill.wordings) + len(skill.foreign)):
        for _ in range(4):
            args = skill.draw(rng)
            gold = skill.solve(args)
            assert gold is not None
            instruction = skill.render(wording, args)
            assert oracle.check(instruction, gold) is True
            assert oracle.check(instruction.lower().rstrip(".?!"), gold) is True
            assert oracle.check(instruction, f"{gold} wrong") is False
            assert oracle.check(instruction, "") is False


def test_drawn_tasks_are_answered_rightly_and_lie_on_the_side_asked_for() -> None:
    rng = Random(1)
    for number in range(600):
        item = world.draw(rng, held_out=number % 2 == 0, novel=number % 3 == 0)
        assert oracle.check(item.prompt, item.answer) is True
        assert world.is_held_out(item.prompt) is (number % 2 == 0)


def test_one_task_in_eight_or_so_is_held_out() -> None:
    rng = Random(2)
    parts = [oracle.Part(skill, 0, skill.draw(rng)) for skill in SKILLS.values() for _ in range(20)]
    sides = [part.held_out for part in parts]
    assert 0.09 < sum(sides) / len(sides) < 0.16


def test_test_items_are_different_held_out_and_the_same_for_the_same_seed() -> None:
    items = world.test_items(300, 5)
    assert len({item.prompt for item in items}) == 300
    assert all(world.is_held_out(item.prompt) for item in items)
    assert items == world.test_items(300, 5)
    assert items != world.test_items(300, 6)


def test_the_teachers_corpus_holds_no_held_out_task() -> None:
    tests = {item.prompt for item in world.test_items(1600, 0)}
    for index in range(3):
        for doc in roles.draw_docs(Random(f"teacher-0-{index}"), 250, index / 2):
            for message in doc.messages:
                lines = [message.content, *message.content.split("\n")]
                lines += [line.partition(". ")[2] for line in lines]
                assert not any(world.is_held_out(line) for line in lines), doc
                assert not tests.intersection(lines), doc


def test_the_bases_corpus_holds_no_held_out_arguments() -> None:
    rng = Random(4)
    for _ in range(300):
        part, _ = world.draw_part(rng, held_out=False)
        assert not part.held_out
    statements = [base_corpus.statement(rng) for _ in range(300)]
    assert not any("?" in statement for statement in statements)
    assert not any(oracle.parse(statement) for statement in statements)


def test_the_shipped_seed_files_are_what_their_script_writes(tmp_path: Path) -> None:
    tasks = [json.loads(line) for line in (SEEDS / "tiny_tasks.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in (SEEDS / "tiny_test.jsonl").read_text().splitlines()]
    assert tasks == seeds.seed_tasks()
    assert rows == seeds.test_rows()
    assert len(rows) >= 1500
    assert not any(
        world.is_held_out(f"{task['instruction']}\n{task['instances'][0]['input']}".strip()) for task in tasks
    )


def test_no_test_item_asks_for_a_sum_of_which_only_a_wording_is_held_out() -> None:
    for item in world.test_items(600, 0):
        task = oracle.parse(item.prompt)
        assert task is not None
        assert not any(part.skill.halved for part in task.parts)
