"""Translate-then-answer: instructions and answers in other languages.

``answer_after`` (post-answering; Bactrian-X, arXiv 2305.15011, and Phoenix, arXiv 2304.10453) translates the prompt and
asks for an answer in that language; ``translate_after`` (post-translating; Chinese-Alpaca, arXiv 2304.08177) translates
the prompt and the answer that is there. Code, placeholders, URLs and numbers must come through: a translation that
loses one is dropped (Bactrian-X leaves code-like rows out beforehand). Whether an answer is in its language is for
``filters.language`` to say.
"""

from __future__ import annotations

import asyncio
import difflib
import random
from collections.abc import Sequence
from typing import Any, Literal

from datagen.errors import ConfigError, LLMError
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.record import Answer, Message, Record
from datagen.stage import PromptName
from datagen.text.chatter import babble, chatter
from datagen.text.chrf import chrf
from datagen.text.echo import echoed, said_again
from datagen.text.language_names import CODES
from datagen.text.untouched import lost, prose
from datagen.text.words import normal

_SOURCE_TEXTS = ("instruction", "input")  # labels that hold a row's text as it was before its translation


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a language, a weight, a number of languages or a similarity that cannot be."""
    languages, per_record = arguments["languages"], arguments["per_record"]
    for name in (*languages, arguments["source_language"]):
        if name not in CODES:
            near = difflib.get_close_matches(name, CODES, 1, 0.5)
            meant = f"; did you mean {near[0]}?" if near else "; languages go by their English names"
            raise ConfigError(f"translate_answer: unknown language {name!r}{meant}")
    if not all(weight > 0 for weight in _weights(languages).values()):
        raise ConfigError("translate_answer: languages: a weight must be above 0; leave out what is not wanted")
    if not 1 <= per_record <= len(languages):
        raise ConfigError(f"translate_answer: per_record: {per_record} of {len(languages)} languages: from 1 to all")
    if arguments["min_similarity"] is not None and not 0 < arguments["min_similarity"] <= 1:
        raise ConfigError("translate_answer: min_similarity: a chrF above 0 and at most 1")


async def translate_answer(
    record: Record,
    *,
    llm: LLM,
    rng: random.Random,
    languages: dict[str, float] | list[str],
    per_record: int = 1,
    order: Literal["answer_after", "translate_after"] = "answer_after",
    translator: LLM | None = None,
    min_similarity: float | None = None,
    source_language: str = "English",
    instruction_prompt: PromptName = PromptName("translate/instruction"),
    reply_prompt: PromptName = PromptName("translate/reply"),
    answer_prompt: PromptName = PromptName("answer/answer"),
) -> list[Record]:
    """A child of the record in each of ``per_record`` languages, or the record dropped where that fails.

    Languages are drawn by their weights (alike for a list), each at most once for a record. ``translator`` translates
    and ``llm`` answers; the one stands for the other where it is not given. With ``min_similarity`` the instruction is
    translated back into ``source_language``, and a chrF (0 to 1) below it drops the row. Raises ``ConfigError``.
    """
    check(
        {"languages": languages, "per_record": per_record}
        | {"min_similarity": min_similarity, "source_language": source_language}
    )
    if order == "translate_after" and not record.answers:
        return [record.drop("translate_answer:no_answer")]
    translator = translator or llm

    async def put(text: str, language: str, answers: str = "") -> str:
        """A text in another language; ``answers`` is the request that it replies to, if it does. Raises ``_Flaw``."""
        asked: dict[str, Any] = {"instruction": answers, "answer": text} if answers else {"instruction": text}
        name = reply_prompt if answers else instruction_prompt
        given = _whole(await translator.ask(name, language=language, **asked), "translation")
        if babble(given, text):
            raise _Flaw("too_long", raw=given)
        blank = translator.prompt(name).render(language=language, **dict.fromkeys(asked, ""))
        if copy := echoed(given, f"{answers}\n{text}", "\n".join(message.content for message in blank)):
            raise _Flaw("copied_prompt", copied=copy, raw=given)
        if chatter(given, text):
            raise _Flaw("extra_prose", raw=given)
        return _checked(text, given, bool(answers))

    async def made(language: str) -> Record:
        try:
            turns = [await put(turn.content, language, answers) for turn, answers in _answering(record.prompt)]
            prompt = tuple(Message(turn.role, text) for turn, text in zip(record.prompt, turns, strict=True))
            labels = {key: value for key, value in record.labels.items() if key not in _SOURCE_TEXTS} | {"order": order}
            if min_similarity is not None:
                back = await translator.ask(instruction_prompt, instruction=turns[-1], language=source_language)
                labels["similarity"] = _similarity(record.instruction, turns[-1], _whole(back, "back"), min_similarity)
            if order == "translate_after":
                answer = Answer(await put(record.answer, language, record.instruction), record.answers[0].model)
            else:
                reply = await llm.ask(answer_prompt, prompt=prompt)
                answer = Answer(_whole(reply, "answer"), reply.model)
                if said_again(answer.content, turns[-1]):
                    raise _Flaw("answer_echoed", raw=reply.text)
        except _Flaw as flaw:
            return record.drop(f"translate_answer:{flaw.reason}", language=language, **flaw.evidence)
        except LLMError as error:
            return record.drop(f"translate_answer:{error.reason}", language=language, **error.evidence)
        return Record(
            prompt, (answer,), source="translate_answer", parents=(record.id,), language=CODES[language], labels=labels
        )

    return list(await asyncio.gather(*map(made, _drawn(_weights(languages), per_record, rng))))


class _Flaw(Exception):
    """Why a reply is no use, with what a reader can check."""

    def __init__(self, reason: str, **evidence: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence


def _answering(turns: Sequence[Message]) -> list[tuple[Message, str]]:
    """Each turn, with the request that it replies to where it is the assistant's."""
    before = (Message("user", ""), *turns)
    return [(turn, last.content if turn.role == "assistant" else "") for last, turn in zip(before, turns, strict=False)]


def _whole(reply: Reply, name: str) -> str:
    if reply.finish_reason == "length":
        raise _Flaw(f"{name}_truncated", raw=reply.text)
    if not reply.text.strip():
        raise _Flaw(f"{name}_empty", raw=reply.text)
    return reply.text.strip()


def _checked(source: str, translation: str, reply: bool) -> str:
    """The translation. An instruction that came back as it was is none; an answer (a name, say) may be."""
    if missing := lost(source, translation):
        raise _Flaw(f"lost_{missing[0].kind}", lost=[one.text for one in missing], raw=translation)
    if not reply and normal(translation) == normal(source) and any(map(str.isalpha, prose(source))):
        raise _Flaw("untranslated", raw=translation)
    return translation


def _similarity(source: str, translation: str, back: str, least: float) -> float:
    found = round(chrf(back, source), 4)
    if found < least:
        raise _Flaw("unlike", similarity=found, min_similarity=least, raw=translation, back=back)
    return found


def _weights(languages: dict[str, float] | list[str]) -> dict[str, float]:
    return languages if isinstance(languages, dict) else dict.fromkeys(languages, 1.0)


def _drawn(weights: dict[str, float], count: int, rng: random.Random) -> list[str]:
    """``count`` different names, each next one drawn by weight among the rest (Efraimidis and Spirakis, 2006)."""
    keys = {name: rng.random() ** (1 / weight) for name, weight in weights.items()}
    return sorted(keys, key=keys.__getitem__, reverse=True)[:count]
