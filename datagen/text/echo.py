"""Replies that say the prompt again instead of answering it, as models do that were not trained to follow one."""

from __future__ import annotations

from datagen.text.words import words

_RUN = 8
_SHORTEST_RUN = 4


def echoed(reply: str, given: str, asked: str) -> str:
    """Words that a reply copies from the prompt and that the text it was given does not hold; empty if none.

    ``asked`` is the prompt without that text. A copy is 8 of its words in a row (all of them, where it has fewer, but
    at least 4).
    """
    prompt = words(asked)
    length = min(_RUN, max(_SHORTEST_RUN, len(prompt)))
    known = set(_runs(prompt, length)) - set(_runs(words(given), length))
    run = next((run for run in _runs(words(reply), length) if run in known), ()) if known else ()
    return " ".join(run)


def said_again(answer: str, asked: str) -> bool:
    """The answer is the request itself."""
    return answer.strip() == asked.strip()


def after_echo(reply: str, asked: str) -> int:
    """Where a reply goes on after it has said the whole prompt again; 0 where it does not say it."""
    asked, end = asked.strip(), 0
    while asked and (at := reply.find(asked, end)) >= 0:
        end = at + len(asked)
    return end


def _runs(text: list[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(text[at : at + length]) for at in range(len(text) - length + 1)]
