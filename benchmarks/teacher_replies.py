"""What a teacher would reply to the prompts of self_instruct, evol_instruct and self_chat: no two replies alike.

Words of a made-up language of 5,000, as unevenly frequent as those of a real one (Zipf), so that texts share some.
"""

from __future__ import annotations

import itertools
import random

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_WORDS = ["".join(random.Random(rank).choices(_SYLLABLES, k=2 + rank % 3)) for rank in range(5000)]
_TOTALS = list(itertools.accumulate(1 / (rank + 3) for rank in range(5000)))


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
    return " ".join(rng.choices(_WORDS, cum_weights=_TOTALS, k=count))
