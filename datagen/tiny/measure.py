"""Measure every role of tiny-teacher, and tiny-base, against the oracle: ``python -m datagen.tiny.measure``.

Prints each number and writes all of them into the models' cards. Every task asked is held out; where a role works on
answers, they are the teacher's own at temperature 1.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from datagen import prompts
from datagen.tiny import cards, oracle, outside, roles, world
from datagen.tiny.commands import TRAINED, ask
from datagen.tiny.forms import FORMS
from datagen.tiny.generate import Model, complete
from datagen.tiny.grading import Judged, area_under_curve, compare, judge, own_answers
from datagen.tiny.novelty import surviving
from datagen.tiny.probe import answerable, propose
from datagen.tiny.skills import SKILLS

MODELS = Path(__file__).parent / "models"
REWORDED, UNSEEN = (1, 2, 3), TRAINED
Scores = dict[str, float]


def share(marks: list[bool]) -> float:
    """The share of true marks."""
    return round(sum(marks) / max(1, len(marks)), 4)


def answers(teacher: Model, items: list[world.Item], by_skill: dict[str, float] | None = None) -> Scores:
    """Right answers to held-out tasks at three temperatures, and in polite, careless typing."""
    scores: Scores = {}
    for temperature in (0.0, 0.7, 1.0):
        given = teacher.reply([[roles.user(item.prompt)] for item in items], temperature=temperature)
        marks = [bool(oracle.check(item.prompt, text)) for item, text in zip(items, given, strict=True)]
        scores[f"right at T={temperature:g}"] = share(marks)
        if temperature == 0 and by_skill is not None:
            names = [item.skill if "+" not in item.skill else "rule or two parts" for item in items]
            by_skill |= {
                n: share([m for m, name in zip(marks, names, strict=True) if name == n]) for n in sorted(set(names))
            }
    typed = [_retyped(item.prompt, style) for item in items[:600] for style in range(3)]
    given = teacher.reply([[roles.user(text)] for text in typed])
    for style, name in enumerate(("in lower case", "without the last mark", "with please")):
        pairs = list(zip(typed, given, strict=True))[style::3]
        scores[f"right {name} (600, T=0)"] = share([bool(oracle.check(*pair)) for pair in pairs])
    return scores


def _retyped(text: str, style: int) -> str:
    lower = text[0].lower() + text[1:]
    return (lower, text.rstrip(".?!"), f"Please {lower}")[style]


def dialogues(teacher: Model) -> Scores:
    """Right answers to the last turn of held-out dialogues."""
    rng = Random("dialogues")
    chats = [list(roles.draw_dialogue(rng, held_out=True)[:-1]) for _ in range(400)]
    given = teacher.reply(chats)
    return {
        "right last answer (T=0)": share(
            [bool(oracle.check_dialogue(*pair)) for pair in zip(chats, given, strict=True)]
        )
    }


def declines(teacher: Model) -> Scores:
    """Declines of requests from outside, of garbled tasks, and of tasks that do have an answer."""
    rng = Random("outside")
    requests = [rng.choice(outside.UNSEEN) for _ in range(100)]
    garbled = [outside.garbled(rng) for _ in range(300)]
    known = [item.prompt for item in world.test_items(500, 11)]
    kinds = {
        "unseen requests declined": requests,
        "garbled tasks declined": garbled,
        "answerable tasks declined": known,
    }
    return {
        name: share([text == oracle.DECLINE for text in teacher.reply([[roles.user(one)] for one in asked])])
        for name, asked in kinds.items()
    }


def proposals(teacher: Model, wording: int = 0, count: int = 500) -> Scores:
    """500 proposals by the shipped prompt: answerable, surviving the novelty filter, and the chain to answered rows."""
    sampling = prompts.load("self_instruct/tasks", "tiny").sampling
    temperature, top_p = sampling.temperature or 1.0, sampling.top_p or 1.0
    lines = propose(
        teacher.model,
        teacher.vocabulary,
        Random("propose"),
        count,
        temperature=temperature,
        top_p=top_p,
        wording=wording,
    )
    scores = {
        "lines of those asked": round(len(lines) / count, 4),
        "answerable": share([answerable(line) for line in lines]),
        "surviving ROUGE-L 0.7": round(surviving(lines) / max(1, len(lines)), 4),
        "different": round(len(set(lines)) / max(1, len(lines)), 4),
    }
    if wording == 0:
        whole = [line for line in lines if not oracle.needs_input(line)]
        given = teacher.reply([[roles.user(line)] for line in whole], temperature=1.0)
        scores["rows right when answered at T=1"] = share(
            [bool(oracle.check(*pair)) for pair in zip(whole, given, strict=True)]
        )
    return scores


def instances(teacher: Model, wording: int = 0) -> Scores:
    """Inputs written for tasks that need one (the task becomes answerable), and the outputs' rightness."""
    rng = Random("instances")
    items = [world.draw_part(rng, held_out=True, inputs=1)[1] for _ in range(300)]
    items += [f"{stem}\n" for skill in SKILLS.values() for stem in skill.stems]
    stems = [text.partition("\n")[0] for text in items]
    said = teacher.reply(
        [ask("self_instruct/instances", wording=wording, instruction=stem) for stem in stems], temperature=0.7
    )
    valid, right = [], []
    for stem, text in zip(stems, said, strict=True):
        given, _, output = text.partition("Output: ")
        given = given.removeprefix("Input: ").strip()
        verdict = oracle.check(f"{stem}\n{given}" if given else stem, output)
        valid.append(verdict is not None)
        right.append(bool(verdict))
    return {"answerable with its input": share(valid), "output right": share(right)}


def grading(judged: list[Judged]) -> Scores:
    """How well grades of own answers tell right from wrong."""
    right = [one.right for one in judged]
    kept = [one for one in judged if one.score >= 4.5]
    return {
        "own answers right": share(right),
        "AUC of the grade": round(area_under_curve([one.score for one in judged], right), 4),
        "AUC of the expected grade": round(area_under_curve([one.expected for one in judged], right), 4),
        "kept at 4.5 or more": round(len(kept) / len(judged), 4),
        "right among the kept": share([one.right for one in kept]),
    }


def evolution(teacher: Model, wording: int = 0) -> Scores:
    """Evolved tasks that keep what they must and stay answerable."""
    scores: Scores = {}
    rng = Random("evolve")
    for operation in ("add_constraints", "deepen", "breadth"):
        drawn = [world.draw_part(rng, held_out=True, novel=True, inputs=0) for _ in range(200)]
        drawn = [(part, text) for part, text in drawn if operation != "add_constraints" or part.skill.judge is None]
        chats = [ask(f"evol_instruct/{operation}", wording=wording, instruction=text) for _, text in drawn]
        said = teacher.reply(chats, temperature=0.7)
        scores[operation] = share(
            [_evolved(operation, part, text, new) for (part, text), new in zip(drawn, said, strict=True)]
        )
    return scores


def _evolved(operation: str, part: oracle.Part, old: str, new: str) -> bool:
    task = oracle.parse(new)
    if task is None or new == old:
        return False
    if operation == "breadth":
        return task.parts[0].skill.group == part.skill.group
    same = task.parts[0].skill == part.skill and task.parts[0].args == part.args
    return same and (task.form in FORMS if operation == "add_constraints" else len(task.parts) == 2)


def translation(teacher: Model, wording: int = 0) -> Scores:
    """Tasks put into another language: the same task and arguments in that language's wording."""
    rng = Random("translate")
    marks = []
    drawn = [roles.draw_translatable(rng, held_out=True) for _ in range(300)]
    chats = [
        ask(
            "translate/instruction",
            wording=wording,
            instruction=part.skill.render(part.wording, part.args),
            language=language,
        )
        for part, _, language in drawn
    ]
    for (_, foreign, _), said in zip(drawn, teacher.reply(chats), strict=True):
        task = oracle.parse(said)
        marks.append(task is not None and task.parts[0] == foreign)
    return {"valid": share(marks)}


def self_chat(teacher: Model, wording: int = 0) -> Scores:
    """User turns that have an answer in their dialogue."""
    rng = Random("self-chat")
    shown = [list(roles.draw_dialogue(rng, held_out=True)[:2]) for _ in range(300)]
    said = teacher.reply([ask("self_chat/user", wording=wording, prompt=turns) for turns in shown], temperature=1.0)
    return {
        "answerable turns (T=1)": share(
            [oracle.follow([*turns, roles.user(text)]) is not None for turns, text in zip(shown, said, strict=True)]
        )
    }


def measure(folder: Path) -> dict[str, Any]:
    """Every number of the teacher's card."""
    teacher = Model(folder)
    by_skill: dict[str, float] = {}
    result: dict[str, Any] = {
        "answers": answers(teacher, world.test_items(1600, 0), by_skill),
        "answers by skill": by_skill,
    }
    own = own_answers(teacher, Random("own"), 1200)
    pairs = own_answers(teacher, Random("pairs"), 1500, samples=2)
    result["dialogues"], result["declines"] = dialogues(teacher), declines(teacher)
    result["grade"] = grading(judge(teacher, own))
    result["compare"] = compare(teacher, pairs)
    roles_of: dict[str, Callable[[int], Scores]] = {
        "propose": lambda wording: proposals(teacher, wording, 500 if wording == 0 else 240),
        "instances": lambda wording: instances(teacher, wording),
        "evolve": lambda wording: evolution(teacher, wording),
        "translate": lambda wording: translation(teacher, wording),
        "self_chat": lambda wording: self_chat(teacher, wording),
    }
    for name, run in roles_of.items():
        result[name] = run(0)
        print(name, json.dumps(result[name]), flush=True)
    result["rewordings"] = {
        name: {str(wording): run(wording) for wording in (*REWORDED, UNSEEN)} for name, run in roles_of.items()
    }
    result["rewordings"]["grade"] = {str(w): grading(judge(teacher, own[:600], w)) for w in (*REWORDED, UNSEEN)}
    return result


def measure_base(folder: Path) -> Scores:
    """Plain statements completed on held-out arguments, and held-out tasks asked as instructions."""
    base = Model(folder)
    rng = Random("base")
    parts = [world.draw_part(rng, held_out=True)[0] for _ in range(1000)]
    parts = [part for part in parts if part.skill.judge is None]
    heads = [" " + part.skill.statement.partition(" {answer}")[0].format(**part.args) for part in parts]
    said = complete(base.model, base.vocabulary, heads, max_tokens=16)
    known = [text.startswith(part.answer()) for part, text in zip(parts, said, strict=True)]
    items = world.test_items(1600, 0)
    given = base.reply([[roles.user(item.prompt)] for item in items])
    asked = [bool(oracle.check(item.prompt, text)) for item, text in zip(items, given, strict=True)]
    return {"statements completed rightly": share(known), "instructions answered rightly": share(asked)}


def main() -> None:
    """Measure, print, and write the cards."""
    parser = argparse.ArgumentParser(prog="python -m datagen.tiny.measure", description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    teacher, base = given.models / "teacher", given.models / "base"
    result, base_result = measure(teacher), measure_base(base)
    print(json.dumps({"teacher": result, "base": base_result}, indent=1))
    (teacher / "README.md").write_text(cards.teacher_card(teacher, result), encoding="utf-8")
    (base / "README.md").write_text(cards.base_card(base, base_result), encoding="utf-8")


if __name__ == "__main__":
    main()
