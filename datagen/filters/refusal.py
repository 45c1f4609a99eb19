"""Drop answers that refuse: what OpenHermes, Vicuna and the "uncensored" sets take out by lists of strings."""

from __future__ import annotations

from collections.abc import Iterable

from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.refusal import Kind, find_refusal

_ALL: tuple[Kind, ...] = ("full", "partial", "moralising", "self_identification", "rate_limit")


def refusal(records: Iterable[Record], *, kinds: tuple[Kind, ...] = _ALL) -> EachAlone:
    """Rows none of whose answers refuses in one of the ways ``kinds``; the reason is the kind.

    ``full`` and ``partial`` (help follows) refusals; ``moralising`` about the request in place of an answer;
    ``self_identification`` ("as an AI language model") without a refusal; ``rate_limit`` messages of a service. The
    evidence is the phrase, which answer, and its opening.
    """
    for record in records:
        for at, answer in enumerate(record.answers):
            found = find_refusal(answer.content, record.instruction)
            if found and found.kind in kinds:
                opening = answer.content[:200]
                yield record.drop(f"refusal:{found.kind}", matched=found.matched, answer=at, opening=opening)
                break
        else:
            yield record
