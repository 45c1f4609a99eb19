"""Evol-Instruct (WizardLM, arXiv 2304.12244; for code WizardCoder, 2306.08568): instructions that grow harder or rarer.

In each round one operation, drawn with equal odds, rewrites an instruction: five go into depth (one constraint more,
deeper, more concrete, more steps of reasoning, structured data as input), one into breadth (another, rarer instruction
of the same domain). Then it is answered. Four rules eliminate an evolution that failed, and its instruction goes into
the next round as it was; the result is the union of all rounds. No instruction's fate depends on another's, so each
goes through its rounds by itself, and no round waits for its slowest reply.

Deviations: whether two instructions ask the same is asked only if they differ in more than case and punctuation, and
before the answer is paid for; a rewriting with words to the asker around it, or of a length beyond reason, fails as
well, and so does an answer that was cut or is the instruction itself; for code, WizardCoder names no elimination, and
its stop by a development set (when pass@1 falls) is left to ``rounds``.
"""

from __future__ import annotations

import random
from typing import Any, Literal

import msgspec

from datagen.errors import ConfigError, LLMError
from datagen.llm.client import LLM
from datagen.record import Answer, Message, Record
from datagen.stage import PromptName
from datagen.text.chatter import babble, chatter
from datagen.text.echo import said_again
from datagen.text.evolution import copied, says_nothing, sorry, unchanged
from datagen.text.parsing import DECISIONS, TEXTS, choose

Style = Literal["text", "code"]
_OPERATIONS: dict[Style, tuple[str, ...]] = {
    "text": ("add_constraints", "deepen", "concretize", "reason", "complicate_input", "breadth"),
    "code": ("code_constraints", "code_rarer", "code_reason", "code_mislead", "code_complexity"),
}


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where there is no operation to draw, or no round to draw it in."""
    if arguments["operations"] == []:
        raise ConfigError(f"evol_instruct: operations: name some of {', '.join(_OPERATIONS[arguments['style']])}")
    if arguments["rounds"] < 1:
        raise ConfigError(f"evol_instruct: rounds: {arguments['rounds']} is not 1 or more")


def chosen_prompts(arguments: dict[str, Any]) -> list[str]:
    """The prompts of the operations that may be drawn."""
    return [f"evol_instruct/{name}" for name in arguments["operations"] or _OPERATIONS[arguments["style"]]]


async def evol_instruct(
    record: Record,
    *,
    llm: LLM,
    rng: random.Random,
    rounds: int = 4,
    style: Style = "text",
    operations: list[str] | None = None,
    equal_prompt: PromptName = PromptName("evol_instruct/equal"),
    answer_prompt: PromptName = PromptName("answer/answer"),
    sampling: dict[str, Any] | None = None,
) -> list[Record]:
    """The answered evolutions of a record's last turn, one a round; those that failed are dropped with the reason.

    ``operations`` are prompts under ``evol_instruct/``, to which a pack of one's own may add; by default the six of
    WizardLM, or for ``style: code`` the five of WizardCoder. The parent is the instruction that was evolved: the
    record, or the last round that succeeded. Labels: operation, round, prompt and model. ``sampling`` is the answers'.
    Where the LLM's pack says ``layout: skip`` for ``equal_prompt``, nothing but the texts tells equal instructions.
    """
    drawn = chosen_prompts({"operations": operations, "style": style})
    made, parent, earlier = [], record, [record.instruction]
    for number in range(1, rounds + 1):
        prompt = rng.choice(drawn)
        try:
            evolved = await _evolved(parent, earlier, llm, prompt, number)
            evolved = evolved if evolved.dropped else await _compared(parent, evolved, llm, equal_prompt)
            evolved = evolved if evolved.dropped else await _answered(evolved, llm, answer_prompt, sampling)
        except LLMError as error:
            evolved = _asked(parent, llm, prompt, number).drop(f"evol_instruct:{error.reason}", **error.evidence)
        made.append(evolved)
        if not evolved.dropped:
            parent = evolved
            earlier.append(evolved.instruction)
    return made


def _asked(parent: Record, llm: LLM, prompt: str, number: int) -> Record:
    """The chat that asks for an evolution, with the lineage of what will come of it."""
    return Record(
        tuple(llm.prompt(prompt).render(instruction=parent.instruction)),
        source="evol_instruct",
        parents=(parent.id,),
        language=parent.language,
        labels={"operation": prompt.rpartition("/")[2], "round": number, "prompt": prompt, "model": llm.model},
    )


async def _evolved(parent: Record, earlier: list[str], llm: LLM, prompt: str, number: int) -> Record:
    """The parent with its last turn rewritten; dropped where that is cut, was there before, or is no instruction."""
    template = llm.prompt(prompt)
    parse = choose(template.parser, TEXTS, where=template.path)
    reply = await llm.ask(prompt, sample=number, instruction=parent.instruction)
    text = parse(reply.text)
    evolved = msgspec.structs.replace(
        _asked(parent, llm, prompt, number), prompt=(*parent.prompt[:-1], Message("user", text))
    )
    if reply.finish_reason == "length":
        return evolved.drop("evol_instruct:truncated", raw=reply.text)
    if not text:
        return evolved.drop("evol_instruct:empty", raw=reply.text)
    if babble(text, parent.instruction):
        return evolved.drop("evol_instruct:too_long", raw=reply.text)
    if any(unchanged(text, one) for one in earlier):
        return evolved.drop("evol_instruct:unchanged", raw=reply.text)
    asked = "\n".join(message.content for message in template.render(instruction=""))
    if found := copied(text, parent.instruction, asked):
        return evolved.drop("evol_instruct:copied_prompt", raw=reply.text, copied=found)
    if chatter(text, parent.instruction):
        return evolved.drop("evol_instruct:extra_prose", raw=reply.text)
    return evolved


async def _compared(parent: Record, evolved: Record, llm: LLM, prompt: str) -> Record:
    """Dropped where the LLM says that both ask the same, or does not say."""
    template = llm.prompt(prompt)
    if template.skipped:
        return evolved
    decide = choose(template.parser, DECISIONS, where=template.path)
    reply = await llm.ask(prompt, instruction=parent.instruction, evolved=evolved.instruction)
    equal = decide(reply.text)
    if equal is None:
        return evolved.drop("evol_instruct:equal_unparsed", raw=reply.text)
    return evolved.drop("evol_instruct:equal", raw=reply.text) if equal else evolved


async def _answered(evolved: Record, llm: LLM, prompt: str, sampling: dict[str, Any] | None) -> Record:
    """With its answer; dropped where that is cut, the instruction again, a short apology, or says nothing."""
    reply = await llm.ask(prompt, sampling=sampling, prompt=evolved.prompt)
    text = reply.text.strip()
    answered = msgspec.structs.replace(evolved, answers=(Answer(text, model=reply.model),))
    if reply.finish_reason == "length":
        return answered.drop("evol_instruct:answer_truncated", raw=reply.text)
    if said_again(text, evolved.instruction):
        return answered.drop("evol_instruct:answer_echoed", raw=reply.text)
    if sorry(text):
        return answered.drop("evol_instruct:sorry", raw=reply.text)
    return answered.drop("evol_instruct:says_nothing", raw=reply.text) if says_nothing(text) else answered
