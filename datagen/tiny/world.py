"""Tasks of the small world, drawn from a seed, and the side (training or test) that each belongs to.

Arguments are split by a stable hash of skill and arguments: one in eight is kept for testing and appears in no corpus
that the teacher or the base is trained on. Facts must all be known, so for a single fact the hash also takes the
wording: the pair of wording and fact is what is held out. Sums and differences are few too: the held-out pairs of
numbers are trained in half of their wordings and tested in the other half.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from datagen.tiny import oracle
from datagen.tiny.forms import FORMS, add_sentence
from datagen.tiny.oracle import Part, Task
from datagen.tiny.skill import Skill
from datagen.tiny.skills import SKILLS


@dataclass(frozen=True)
class Item:
    """One drawn task. ``input`` is the second line of an instruction that needs one."""

    instruction: str
    input: str
    answer: str
    skill: str

    @property
    def prompt(self) -> str:
        """Instruction and input as one user turn."""
        return f"{self.instruction}\n{self.input}" if self.input else self.instruction


def is_held_out(instruction: str) -> bool:
    """Whether an instruction of this world is kept for testing."""
    task = oracle.parse(instruction)
    return task is not None and task.held_out


def draw_part(
    rng: Random, *, held_out: bool, skill: Skill | None = None, novel: bool = False, inputs: float = 1.0
) -> tuple[Part, str]:
    """A part and its text. ``novel`` draws as proposals do; ``inputs`` is the chance of keeping an input's wording."""
    pool = list(SKILLS.values())
    while True:
        chosen = skill or rng.choices(pool, [s.novel if novel else s.share for s in pool])[0]
        wording = rng.randrange(len(chosen.wordings))
        if "\n" in chosen.wordings[wording] and rng.random() >= inputs:
            continue
        part = Part(chosen, wording, chosen.draw(rng))
        if part.held_out == held_out and chosen.solve(part.args) is not None:
            return part, chosen.render(part.wording, part.args)


def _item(text: str, answer: str, skill: str) -> Item:
    instruction, _, given = text.partition("\n")
    return Item(instruction, given, answer, skill)


def draw(rng: Random, *, held_out: bool = False, novel: bool = False, inputs: float = 1.0) -> Item:
    """A task: mostly one part, at times with a rule on form or a second part."""
    part, text = draw_part(rng, held_out=held_out, novel=novel, inputs=inputs)
    kind = rng.random()
    if kind < 0.10 and part.skill.judge is None:
        form = rng.choice(FORMS)
        text = add_sentence(text, rng.choice(form.wordings))
        return _item(text, Task((part,), form).answer(), f"{part.skill.name}+{form.name}")
    if kind < 0.16 and "\n" not in text:
        second, more = draw_part(rng, held_out=held_out, novel=novel, inputs=0)
        text = add_sentence(text, f"Then {more[0].lower()}{more[1:]}")
        return _item(text, Task((part, second)).answer(), f"{part.skill.name}+{second.skill.name}")
    return _item(text, part.answer(), part.skill.name)


def test_items(n: int, seed: int) -> list[Item]:
    """``n`` different held-out tasks, spread evenly over the skills (one task in seven has a rule or a second part).

    Sums and differences are left out: of those only a wording is held out, so they would not test what was learned.
    """
    rng = Random(f"test-{seed}")
    items: dict[str, Item] = {}
    skills = [skill for skill in SKILLS.values() if not skill.halved]
    while len(items) < n:
        if len(items) % 7 == 6:
            item = draw(rng, held_out=True)
            task = oracle.parse(item.prompt)
            if task is None or any(part.skill.halved for part in task.parts):
                continue
        else:
            part, text = draw_part(rng, held_out=True, skill=skills[rng.randrange(len(skills))])
            item = _item(text, part.answer(), part.skill.name)
        items.setdefault(item.prompt, item)
    return list(items.values())


test_items.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks of its name
