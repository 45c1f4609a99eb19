"""Wrong answers to known tasks: what the grader and the critic learn to catch."""

from __future__ import annotations

from random import Random

from datagen.tiny import lexicon as lx
from datagen.tiny import oracle
from datagen.tiny.oracle import DECLINE, Task
from datagen.tiny.world import Item, draw


def _other_arguments(rng: Random, item: Item) -> str:
    """The right answer to the same task with other arguments."""
    task = oracle.parse(item.prompt)
    assert task is not None, "a drawn task parses"
    skill = task.parts[0].skill
    solved = skill.solve(skill.draw(rng)) or ""
    rest = item.answer.split("; ")[1:]
    solved = "; ".join([solved, *rest])
    return task.form.apply(solved) if task.form else solved


def _edited(rng: Random, item: Item) -> str:
    """One word changed, lost, doubled or swapped with its neighbour."""
    words = item.answer.split()
    place = rng.randrange(len(words))
    kind = rng.randrange(4)
    if kind == 0 and len(words) > 1:
        del words[place]
    elif kind == 1 and len(words) > 1:
        place = min(place, len(words) - 2)
        words[place], words[place + 1] = words[place + 1], words[place]
    elif words[place].isdecimal():
        words[place] = str(max(0, int(words[place]) + rng.choice((-2, -1, 1, 2))))
    else:
        words[place] = _similar(rng, item)
    return " ".join(words)


def _similar(rng: Random, item: Item) -> str:
    """A word of the instruction, or any word of the world."""
    asked = [word.strip(".,:?!") for word in item.prompt.split()]
    return rng.choice(asked) if rng.random() < 0.6 else rng.choice((*lx.THINGS, *lx.NAMES, *lx.OPPOSITE))


def _misformed(rng: Random, item: Item) -> str:
    """A right answer that breaks the rule on form, or stops half way."""
    task = oracle.parse(item.prompt)
    assert task is not None, "a drawn task parses"
    if task.form:
        return Task(task.parts).answer()
    return item.answer.split("; ")[0] if "; " in item.answer else f"{item.answer} {rng.choice(('thanks', 'sir'))}"


def corrupt(rng: Random, item: Item) -> str:
    """A wrong answer to ``item``."""
    while True:
        kind = rng.random()
        if kind < 0.35:
            answer = _other_arguments(rng, item)
        elif kind < 0.75:
            answer = _edited(rng, item)
        elif kind < 0.85:
            answer = _misformed(rng, item)
        elif kind < 0.90:
            answer = DECLINE
        else:
            answer = draw(rng).answer
        if answer and oracle.check(item.prompt, answer) is False:
            return answer
