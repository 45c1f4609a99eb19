"""The base's corpus: the world in plain statements, with no instruction, question mark or chat in it."""

from __future__ import annotations

from random import Random

from datagen.tiny.skills import SKILLS
from datagen.tiny.world import draw_part


def statement(rng: Random) -> str:
    """One true sentence about the world, on arguments that are not held out."""
    skill = rng.choice(list(SKILLS.values()))
    part, _ = draw_part(rng, held_out=False, skill=skill)
    return skill.statement.format(**part.args, answer=part.answer())


def text(rng: Random) -> str:
    """A few statements in a row."""
    return " ".join(statement(rng) for _ in range(rng.randint(1, 3)))
