"""Measure every role of tiny-teacher against the oracle: ``python -m datagen.tiny.measure``."""

from __future__ import annotations

import re
from random import Random

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from datagen.record import Message
from datagen.tiny import oracle, roles, world
from datagen.tiny.generate import reply

_LINE = re.compile(r"^\d+\. (.+)$", re.MULTILINE)


def propose(
    model: PreTrainedModel, vocabulary: PreTrainedTokenizerBase, rng: Random, count: int, *, temperature: float = 1.0, wording: int = 0,
) -> list[str]:
    """About ``count`` proposed tasks, each request shown eight drawn ones."""
    requests = -(-count // roles.PROPOSED)
    shown = [[world.draw(rng, novel=True, inputs=0.15).instruction for _ in range(8)] for _ in range(requests)]
    chats = [roles.ask("self_instruct/tasks", wording=wording, examples=examples, next=9) for examples in shown]
    replies = reply(model, vocabulary, chats, temperature=temperature, max_tokens=240, seed=rng.randrange(2**31), batch=64)
    return [line for text in replies for line in _LINE.findall(text)][:count]


def quick(model: PreTrainedModel, average: dict[str, torch.Tensor], vocabulary: PreTrainedTokenizerBase) -> str:
    """A line of progress with the averaged weights: held-out answers by skill, worst first, and some roles."""
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(average)
    model.eval()
    items = world.test_items(500, 7)
    answers = reply(model, vocabulary, [[roles.user(item.prompt)] for item in items])
    right: dict[str, list[bool]] = {}
    for item, given in zip(items, answers, strict=True):
        right.setdefault(item.skill.split("+")[0] if "+" not in item.skill else "two/form", []).append(bool(oracle.check(item.prompt, given)))
    total = sum(sum(marks) for marks in right.values()) / len(items)
    worst = sorted(right, key=lambda name: sum(right[name]) / len(right[name]))[:24]
    lines = [f"  answers {total:.3f} held-out; worst: " + ", ".join(f"{n} {sum(right[n])}/{len(right[n])}" for n in worst)]
    rng = Random(3)
    docs: dict[str, list[roles.Doc]] = {}
    for doc in roles.draw_docs(rng, 900, 1.0):
        docs.setdefault(doc.role, []).append(doc)
    for role, some in docs.items():
        if role in ("answer", "self_instruct/tasks", "self_chat/user"):
            continue
        said = reply(model, vocabulary, [doc.messages[:-1] for doc in some])
        same = sum(text == doc.messages[-1].content for text, doc in zip(said, some, strict=True))
        last = sum(text[-1:] == doc.messages[-1].content[-1:] for text, doc in zip(said, some, strict=True))
        lines.append(f"{role.split('/')[1]} {same / len(some):.2f}" + (f" digit {last / len(some):.2f}" if role.startswith("grade") else ""))
    proposed = propose(model, vocabulary, rng, 96)
    valid = sum(oracle.parse(line) is not None or oracle.needs_input(line) for line in proposed)
    lines.append(f"propose {valid / max(1, len(proposed)):.2f} of {len(proposed)}")
    model.load_state_dict(kept)
    model.train()
    return "; ".join(lines)
