"""Self-chat: dialogues between a user and an assistant that are both played by LLMs, each begun by a seed question.

``one_call`` is Baize v1 (arXiv 2304.01196): one completion holds the whole transcript. ``two_roles`` is Baize v2 and
UltraChat (arXiv 2305.14233): the two speak in turns, and may be two LLMs. Every answer of a dialogue is learned, the
earlier ones too: ``training.sft`` trains on all assistant turns of a row by default. Deviations: a dialogue's length is
bounded in exchanges rather than tokens; a model that runs out of context ends the dialogue there.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from datagen.errors import ConfigError, LLMError
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.prompts import Prompt
from datagen.record import Answer, Message, Record
from datagen.stage import PromptName
from datagen.text.chatter import babble, chatter
from datagen.text.dialogue import TRANSCRIPTS, turn
from datagen.text.echo import echoed, said_again
from datagen.text.parsing import choose
from datagen.text.words import normal

_END = "[END]"
_ASSISTANT_SPEAKS = re.compile(r"\bas an ai(?: \w+){0,5}, i\b|\bhow (?:can|may) i (?:help|assist) you\b", re.I)


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for numbers of rounds that cannot be, and for a second LLM where one call is made."""
    least, most = arguments["min_rounds"], arguments["max_rounds"]
    if not 1 <= least <= most:
        raise ConfigError(f"self_chat: min_rounds {least} and max_rounds {most}: needs 1 <= min_rounds <= max_rounds")
    if arguments["style"] == "one_call" and arguments["user"] is not None:
        raise ConfigError("self_chat: user: one_call has one LLM write both roles; leave it out, or use two_roles")


async def self_chat(
    record: Record,
    *,
    llm: LLM,
    rng: random.Random,
    user: LLM | None = None,
    style: Literal["two_roles", "one_call"] = "two_roles",
    min_rounds: int = 2,
    max_rounds: int = 7,
    transcript_prompt: PromptName = PromptName("self_chat/transcript"),
    user_prompt: PromptName = PromptName("self_chat/user"),
    answer_prompt: PromptName = PromptName("answer/answer"),
) -> list[Record]:
    """One dialogue that grows out of the record's prompt; its last answer is the answer, all before it the prompt.

    A round is a user's turn and the answer to it. ``two_roles`` begins with the record's own prompt, and ``user`` (the
    same ``llm`` unless given) goes on for a number of rounds drawn between the two limits; ``one_call`` takes the
    record's instruction as the topic, and as many rounds as the transcript has, at most ``max_rounds``. A dialogue that
    ends before ``min_rounds`` is dropped; the label ``stopped`` says what ended it. Raises ``ConfigError``.
    """
    check({"min_rounds": min_rounds, "max_rounds": max_rounds, "style": style, "user": user})
    if style == "one_call":
        said = await _transcript(record, llm, transcript_prompt, max_rounds)
    else:
        rounds = rng.randint(min_rounds, max_rounds)
        said = await _two_roles(record, llm, user or llm, rounds, user_prompt, answer_prompt)
    if not said.rounds:
        return [record.drop(f"self_chat:{said.stopped}", raw=said.raw)]
    dialogue = Record(
        tuple(said.turns[:-1]),
        (Answer(said.turns[-1].content, model=said.model),),
        source="self_chat",
        parents=(record.id,),
        language=record.language,
        labels={"style": style, "rounds": said.rounds, "stopped": said.stopped},
    )
    if said.rounds < min_rounds:
        return [dialogue.drop("self_chat:too_few_rounds", rounds=said.rounds, stopped=said.stopped, raw=said.raw)]
    return [dialogue]


@dataclass
class _Said:
    """A dialogue under way: whole rounds alone, what ended it, and the reply in which it ended."""

    turns: list[Message] = field(default_factory=list)
    rounds: int = 0
    stopped: str = "rounds"
    raw: str = ""
    model: str = ""

    def add(self, *turns: Message) -> None:
        """One whole round more."""
        self.turns += turns
        self.rounds += 1


async def _transcript(record: Record, llm: LLM, prompt: PromptName, most: int) -> _Said:
    template = llm.prompt(prompt)
    parse = choose(template.parser, TRANSCRIPTS, where=template.path)
    reply = await llm.ask(prompt, instruction=record.instruction)
    found, said = parse(reply.text), _Said(raw=reply.text, model=reply.model)
    asked = "\n".join(message.content for message in template.render(instruction=""))
    said.stopped = "rounds" if len(found) > most else "truncated" if reply.finish_reason == "length" else "end"
    said.stopped = said.stopped if found else "no_exchange"
    for exchange in found[:most]:
        if echoed("\n".join(exchange), record.instruction, asked):
            said.stopped = "copied_prompt"
            break
        said.add(Message("user", exchange.human), Message("assistant", exchange.assistant))
    return said


async def _two_roles(
    record: Record, llm: LLM, user: LLM, rounds: int, user_prompt: PromptName, answer_prompt: PromptName
) -> _Said:
    said = _Said()
    asked = list(record.prompt)
    try:
        while True:
            reply = await llm.ask(answer_prompt, prompt=[*said.turns, *asked])
            answer = turn(reply.text, "ai")
            if why := _cut(reply, answer) or ("echoed" if said_again(answer, asked[-1].content) else ""):
                said.stopped, said.raw = f"answer_{why}", reply.text
                return said
            said.add(*asked, Message("assistant", answer))
            said.model = reply.model
            if said.rounds == rounds:
                return said
            reply = await user.ask(user_prompt, prompt=said.turns)
            text = turn(reply.text, "human")
            if why := _ended(reply, text, said.turns, user.prompt(user_prompt)):
                said.stopped, said.raw = why, reply.text
                return said
            asked = [Message("user", text)]
    except LLMError as error:
        if error.reason != "context_length" or not said.rounds:
            raise
        said.stopped = error.reason
        return said


def _cut(reply: Reply, text: str) -> str:
    return "truncated" if reply.finish_reason == "length" else "" if text else "empty"


def _ended(reply: Reply, text: str, turns: list[Message], prompt: Prompt) -> str:
    """Why a user's turn is not said: it ends the dialogue, is cut, says nothing new, or is the assistant's."""
    given, asked = ("\n".join(one.content for one in chat) for chat in (turns, prompt.render(prompt=[])))
    if _END in reply.text:
        return "end"
    if why := _cut(reply, text):
        return f"user_{why}"
    if babble(text, turns[-1].content):
        return "user_too_long"
    if normal(text) in {normal(one.content) for one in turns}:
        return "user_repeats"
    if echoed(text, given, asked):
        return "user_copies"
    if chatter(text, given):
        return "user_chats"
    return "user_answers" if _ASSISTANT_SPEAKS.search(text) else ""
