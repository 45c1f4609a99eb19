"""The base's corpus: the world in plain text, with no role mark, chat turn or request to the reader in it.

Three texts in four are a few plain statements. The fourth reports talk, as any book does: someone asks, someone
answers. From it a base knows what asking is; that it is asked itself, it has to learn from instruction data.
"""

from __future__ import annotations

from random import Random

from datagen.tiny import lexicon as lx
from datagen.tiny.skills import SKILLS
from datagen.tiny.world import draw_part

_TALK = (
    "{a} asked {b}: {asked} {b} said {answer}.",
    "{a} read: {asked} And {a} wrote {answer}.",
    "When {a} heard: {asked} {b} thought of {answer}.",
)


def statement(rng: Random) -> str:
    """One true sentence about the world, on arguments that are not held out."""
    skill = rng.choice(list(SKILLS.values()))
    part, _ = draw_part(rng, held_out=False, skill=skill)
    return skill.statement.format(**part.args, answer=part.answer())


def talk(rng: Random) -> str:
    """Someone asks and someone answers rightly, on arguments that are not held out."""
    skill = rng.choice(list(SKILLS.values()))
    part, asked = draw_part(rng, held_out=False, skill=skill)
    a, b = rng.sample(lx.NAMES, 2)
    return rng.choice(_TALK).format(a=a, b=b, asked=asked.replace("\n", " "), answer=part.answer())


def text(rng: Random) -> str:
    """A few statements in a row, or a talk."""
    if rng.random() < 0.25:
        return talk(rng)
    return " ".join(statement(rng) for _ in range(rng.randint(1, 3)))
