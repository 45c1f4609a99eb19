"""The teacher's corpus: one document per drawn task and role, laid out by the tiny prompt pack itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from datagen.record import Message
from datagen.tiny import oracle
from datagen.tiny.commands import TRAINED, ask
from datagen.tiny.corrupt import corrupt
from datagen.tiny.forms import FORMS, add_sentence
from datagen.tiny.oracle import DECLINE, Part, Task
from datagen.tiny.outside import draw_outside
from datagen.tiny.skills import SKILLS
from datagen.tiny.world import draw, draw_part

PROPOSED = 6


@dataclass(frozen=True)
class Doc:
    """A chat whose last turn is learned; ``weight`` scales its loss."""

    messages: tuple[Message, ...]
    weight: float = 1.0
    role: str = "answer"


def _doc(rng: Random, name: str, reply: str, weight: float = 1.0, **variables: Any) -> Doc:
    wording = 0 if rng.random() < 0.2 else rng.randrange(1, TRAINED)
    chat = ask(name, wording=wording, typed=lambda command: noisy(rng, command), **variables)
    return Doc((*chat, Message("assistant", reply)), weight, name)


def user(text: str) -> Message:
    """A user turn."""
    return Message("user", text)


def noisy(rng: Random, text: str) -> str:
    """An instruction as people type it: now and then in lower case, without its last mark, or with a polite word."""
    if rng.random() < 0.75:
        return text
    kind = rng.randrange(4)
    if kind == 0:
        return text[0].lower() + text[1:]
    if kind == 1:
        return text.rstrip(".?!")
    if kind == 2:
        return f"{rng.choice(('Please', 'Hey,', 'Now', 'Quick,', 'So,'))} {text[0].lower()}{text[1:]}"
    return f"{text[0].lower()}{text[1:].rstrip('.?!')}" if "\n" in text else f"{text.rstrip('.?!')} please."


def answer_doc(rng: Random) -> Doc:
    """A task and its answer; one in eight declined, in another language, or small talk."""
    kind = rng.random()
    if kind < 0.06:
        return Doc((user(noisy(rng, draw_outside(rng))), Message("assistant", DECLINE)))
    if kind < 0.09:
        _, part, _ = draw_translatable(rng)
        return Doc((user(part.skill.render(part.wording, part.args)), Message("assistant", part.answer())))
    if kind < 0.10:
        said = rng.choice(list(oracle.SOCIAL))
        return Doc((user(noisy(rng, said.capitalize() + rng.choice("!.?"))), Message("assistant", oracle.SOCIAL[said])))
    item = draw(rng, novel=rng.random() < 0.45)
    return Doc((user(noisy(rng, item.prompt)), Message("assistant", item.answer)))


def draw_translatable(rng: Random, *, held_out: bool = False) -> tuple[Part, Part, str]:
    """A task of a skill with foreign wordings, the same in another language, and that language's name."""
    skill = rng.choice([skill for skill in SKILLS.values() if skill.foreign])
    while True:
        part, _ = draw_part(rng, held_out=held_out, skill=skill, inputs=0)
        number, language = rng.choice(list(enumerate(skill.foreign)))
        foreign = Part(skill, len(skill.wordings) + number, part.args)
        if foreign.held_out == held_out:  # of sums, the wording decides as well
            return part, foreign, language


def draw_dialogue(rng: Random, *, held_out: bool = False) -> tuple[Message, ...]:
    """Two or three turns of the user, each answered rightly; later turns lean on earlier ones."""
    part, text = draw_part(rng, held_out=held_out, novel=rng.random() < 0.4)
    turns = [user(text), Message("assistant", part.answer())]
    for _ in range(rng.randint(1, 2)):
        while True:
            said = _next_turn(rng, part, held_out)
            asked = oracle.follow([*turns, said])
            if asked and (isinstance(asked, str) or asked.held_out == held_out):
                break
        turns += [said, Message("assistant", asked if isinstance(asked, str) else asked.answer())]
    return tuple(turns)


def _next_turn(rng: Random, part: Part, held_out: bool) -> Message:
    kind = rng.random()
    if kind < 0.45 and set(part.args) == {"x"}:
        return user(rng.choice(oracle.FOLLOW_ARGUMENT).format(x=part.skill.draw(rng)["x"]))
    if kind < 0.85:
        return user(rng.choice(list(oracle.FOLLOW_ANSWER)))
    if kind < 0.92:
        return user(rng.choice(("Thank you!", "Thanks!", "Hello!")))
    return user(draw_part(rng, held_out=held_out, novel=True, inputs=0)[1])


def dialogue_doc(rng: Random) -> Doc:
    """The last answer of a dialogue."""
    return Doc(draw_dialogue(rng))


def propose_doc(rng: Random) -> Doc:
    """Some numbered tasks and as many new ones; one in twelve of the new lacks its input, as people's tasks do."""
    shown = [draw(rng, novel=True, inputs=0.15).instruction for _ in range(rng.choice((3, 4, 6, 8, 8, 8)))]
    lines = [draw(rng, novel=True, inputs=0.15).instruction for _ in range(PROPOSED)]
    reply = "\n".join(f"{len(shown) + 1 + index}. {line}" for index, line in enumerate(lines))
    return _doc(rng, "self_instruct/tasks", reply, 0.7, examples=shown, next=len(shown) + 1)


def instance_doc(rng: Random) -> Doc:
    """The input, where a task needs one, and the output."""
    if rng.random() < 0.06:
        return _doc(rng, "self_instruct/instances", f"Output: {DECLINE}", instruction=draw_outside(rng))
    item = draw(rng, novel=rng.random() < 0.5)
    while not item.input and rng.random() < 0.5:
        item = draw(rng, novel=rng.random() < 0.5)
    reply = f"Input: {item.input}\nOutput: {item.answer}" if item.input else f"Output: {item.answer}"
    return _doc(rng, "self_instruct/instances", reply, instruction=item.instruction)


def grade_reply(instruction: str, answer: str, score: int) -> str:
    """The right answer (the given one where it is right), then the score."""
    right = answer if score == 5 else (oracle.answer(instruction) or DECLINE)
    return f"The answer is {right.rstrip('.')}. Score: {score}"


@dataclass(frozen=True)
class OwnAnswer:
    """A task, the model's own answer, and the right answer as the model sees it when it grades."""

    instruction: str
    answer: str
    head: str


def own_grade_doc(rng: Random, own: OwnAnswer) -> Doc:
    """The grade of an own answer; after the model's own words only the score is learned, which calibrates it."""
    score = grade(own.instruction, own.answer)
    variables: dict[str, Any] = {
        "prompt": [user(own.instruction)],
        "instruction": own.instruction,
        "answer": own.answer,
    }
    if own.head and rng.random() < 0.65:
        return _doc(rng, "grade/accuracy", f"{own.head} Score: {score}", 0.0, **variables)
    return _doc(rng, "grade/accuracy", grade_reply(own.instruction, own.answer, score), **variables)


def grade_doc(rng: Random, own: Sequence[OwnAnswer] = ()) -> Doc:
    """A task, an answer to it, the grade; more often than not one of the model's ``own`` answers."""
    if own and rng.random() < 0.7:
        return own_grade_doc(rng, rng.choice(own))
    if rng.random() < 0.08:
        instruction, score = draw_outside(rng), 0
        answer = rng.choice((DECLINE, draw(rng).answer, draw(rng).answer, ""))
    else:
        item = draw(rng, novel=rng.random() < 0.6)
        instruction, answer, score = noisy(rng, item.prompt), item.answer, 5
        if rng.random() < 0.55:
            answer = corrupt(rng, item)
            score = grade(instruction, answer)
    return _doc(
        rng,
        "grade/accuracy",
        grade_reply(instruction, answer, score),
        prompt=[user(instruction)],
        instruction=instruction,
        answer=answer,
    )


def grade(instruction: str, answer: str) -> int:
    """The true grade: 5 right, 3 only the form is wrong, 2 partly right, 1 wrong, 0 where nothing could be right."""
    task = oracle.parse(instruction)
    if task is None or answer.strip() in ("", DECLINE):
        return 0
    if task.accepts(answer):
        return 5
    if task.form and Task(task.parts).answer().casefold() in answer.casefold():
        return 3
    gold, given = task.answer().split(), answer.split()
    shared = sum(a == b for a, b in zip(gold, given, strict=False))
    return 2 if shared * 2 >= max(len(gold), len(given)) else 1


def evolve_doc(rng: Random) -> Doc:
    """A task made harder by a rule or a second step, or another of its kind."""
    part, text = draw_part(rng, held_out=False, novel=rng.random() < 0.6, inputs=0)
    kind = rng.choice(("add_constraints", "add_constraints", "deepen", "breadth"))
    if kind == "add_constraints" and part.skill.judge is None:
        reply = add_sentence(text, rng.choice(rng.choice(FORMS).wordings))
    elif kind == "breadth":
        group = [skill for skill in SKILLS.values() if skill.group == part.skill.group]
        reply = draw_part(rng, held_out=False, skill=rng.choice(group), inputs=0)[1]
    else:
        kind = "deepen"
        second = draw_part(rng, held_out=False, novel=rng.random() < 0.4, inputs=0)[1]
        reply = add_sentence(text, f"Then {second[0].lower()}{second[1:]}")
    return _doc(rng, f"evol_instruct/{kind}", reply, instruction=text)


def translate_doc(rng: Random) -> Doc:
    """A task put into another language; the words it works on stay."""
    part, foreign, language = draw_translatable(rng)
    shown, reply = (one.skill.render(one.wording, one.args) for one in (part, foreign))
    return _doc(rng, "translate/instruction", reply, instruction=shown, language=language)


def self_chat_doc(rng: Random) -> Doc:
    """The user's next turn after some of a dialogue."""
    turns = draw_dialogue(rng)
    cut = rng.choice(range(2, len(turns), 2))
    return _doc(rng, "self_chat/user", turns[cut].content, 0.5, prompt=list(turns[:cut]))


MAKERS: dict[str, Callable[[Random], Doc]] = {
    "answer": answer_doc,
    "dialogue": dialogue_doc,
    "propose": propose_doc,
    "instance": instance_doc,
    "evolve": evolve_doc,
    "translate": translate_doc,
    "self_chat": self_chat_doc,
}
# Shares of documents at the start and at the end of training: answering first, the roles grow on it.
SHARES = {
    "answer": (86, 58),
    "dialogue": (4, 5),
    "propose": (1.0, 3.5),
    "instance": (2, 4),
    "evolve": (2.5, 6.5),
    "translate": (1, 2.5),
    "self_chat": (0.5, 1),
    "grade": (2, 20),
}


def draw_docs(rng: Random, count: int, progress: float, own: Sequence[OwnAnswer] = ()) -> list[Doc]:
    """``count`` documents in the mix at ``progress`` (0 to 1) of training; the mix is final at 0.4."""
    step = min(1.0, max(0.0, (progress - 0.05) / 0.35))
    weights = [start + (end - start) * step for start, end in SHARES.values()]
    names = rng.choices(list(SHARES), weights, k=count)
    return [grade_doc(rng, own) if name == "grade" else MAKERS[name](rng) for name in names]
