"""What a teacher would reply to the prompts of self_instruct, evol_instruct and self_chat: no two replies alike."""

from __future__ import annotations

import random

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def reply(prompt: str, rng: random.Random) -> str:
    """A reply to the last message of a request, its words drawn by chance."""
    if "collection of twenty" in prompt:
        return "\n###\n".join(
            f"{n}. Instruction: {_text(rng)}\n{n}. Input:\n<noinput>\n{n}. Output:\n{_text(rng)}" for n in range(4, 21)
        )
    if "Continue the list" in prompt:
        return "\n".join(f"{n}. {_text(rng)}" for n in range(9, 17))
    if "Classification?" in prompt:
        return rng.choice(("Yes", "No", "No"))
    if "Class label:" in prompt:
        return f"Class label: {_text(rng, 1)}\nInput: {_text(rng)}\nClass label: {_text(rng, 1)}\nInput: {_text(rng)}"
    if "Task:" in prompt:
        return f"Input: {_text(rng)}\nOutput: {_text(rng)}"
    if "<topic>" in prompt:
        return "\n".join(f"[Human] {_text(rng)}\n[AI] {_text(rng, 20)}" for _ in range(6)) + "\n[Human] Bye!"
    if "Compare two tasks" in prompt:
        return "No"
    return _text(rng, 40)


def _text(rng: random.Random, count: int = 9) -> str:
    return " ".join("".join(rng.choices(_LETTERS, k=5)) for _ in range(count))
