"""Short looks at a model in training: proposals, and a line of progress."""

from __future__ import annotations

import re
from random import Random

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from datagen.tiny import oracle, roles, world
from datagen.tiny.commands import ask
from datagen.tiny.generate import reply

_LINE = re.compile(r"^\d+\. (.+)$", re.MULTILINE)


def propose(
    model: PreTrainedModel,
    vocabulary: PreTrainedTokenizerBase,
    rng: Random,
    count: int,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    wording: int = 0,
) -> list[str]:
    """About ``count`` proposed tasks, each request shown eight drawn ones."""
    requests = -(-count // roles.PROPOSED)
    shown = [[world.draw(rng, novel=True, inputs=0.15).instruction for _ in range(8)] for _ in range(requests)]
    chats = [ask("self_instruct/tasks", wording=wording, examples=examples, next=9) for examples in shown]
    seed = rng.randrange(2**31)
    replies = reply(model, vocabulary, chats, temperature=temperature, top_p=top_p, max_tokens=240, seed=seed, batch=64)
    return [line for text in replies for line in _LINE.findall(text)][:count]


def answerable(instruction: str) -> bool:
    """Whether the world has an answer, once the task has its input."""
    return oracle.parse(instruction) is not None or oracle.needs_input(instruction)


def progress_line(model: PreTrainedModel, vocabulary: PreTrainedTokenizerBase) -> str:
    """Held-out answers by skill, worst first, and the share of exact replies in the other roles."""
    items = world.test_items(365, 7)
    answers = reply(model, vocabulary, [[roles.user(item.prompt)] for item in items])
    right: dict[str, list[bool]] = {}
    for item, given in zip(items, answers, strict=True):
        right.setdefault(item.skill if "+" not in item.skill else "rule or two parts", []).append(
            bool(oracle.check(item.prompt, given))
        )
    total = sum(map(sum, right.values())) / len(items)
    worst = sorted(right, key=lambda name: sum(right[name]) / len(right[name]))[:24]
    lines = [f"  held-out answers {total:.3f}; {', '.join(f'{n} {sum(right[n])}/{len(right[n])}' for n in worst)}"]
    lines += [f"{role.split('/')[-1]} {share:.2f}" for role, share in _exact_replies(model, vocabulary).items()]
    proposed = propose(model, vocabulary, Random(3), 72)
    lines.append(f"proposals {sum(map(answerable, proposed)) / max(1, len(proposed)):.2f} of {len(proposed)}")
    return "; ".join(lines)


def _exact_replies(model: PreTrainedModel, vocabulary: PreTrainedTokenizerBase) -> dict[str, float]:
    docs: dict[str, list[roles.Doc]] = {}
    for doc in roles.draw_docs(Random(3), 450, 1.0):
        docs.setdefault(doc.role, []).append(doc)
    shares = {}
    for role in sorted(docs.keys() - {"answer", "self_instruct/tasks", "self_chat/user"}):
        said = reply(model, vocabulary, [doc.messages[:-1] for doc in docs[role]])
        same = [text == doc.messages[-1].content for text, doc in zip(said, docs[role], strict=True)]
        shares[role] = sum(same) / len(same)
    return shares
