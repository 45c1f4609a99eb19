"""WizardLM's rules (arXiv 2304.12244) for evolutions that failed; that two instructions ask the same an LLM has to say.

The paper looks for the names of its own prompt ("given prompt", "rewritten prompt"). Prompts are files here, and
anyone's, so a run of the words of the prompt that was really asked counts as well.
"""

from __future__ import annotations

import re

from datagen.text.echo import echoed
from datagen.text.words import normal, words

_SHORT_WORDS = 80
_NAMES = re.compile(r"\b(?:given|rewritten|created|evolved)[ _](?:prompt|task|instruction)\b", re.I)
# English words that say nothing by themselves. Without "yes", "no" and "not", which stop-word lists hold: they answer.
_STOP_WORDS = """
a about above after again against all also am an and any are as at be because been before being below between both
but by can could did do does doing don down during each few for from further had has have having he her here hers
herself him himself his how i if in into is it its itself just ll me more most must my myself nor now of off on once
only or other our ours ourselves out over own re s same shall she should so some such t than that the their theirs
them themselves then there these they this those through to too under until up upon us ve very was we were what when
where which while who whom why will with would you your yours yourself yourselves
"""


def unchanged(evolved: str, given: str) -> bool:
    """Both are the same but for case, spaces and punctuation; what needs no LLM of the rule on equal information."""
    return normal(evolved) == normal(given)


def copied(evolved: str, given: str, asked: str) -> str:
    """Words of the evolving prompt that an evolved instruction copies and the given one does not hold; empty if none.

    ``asked`` is the prompt without the given instruction. Its names for the two instructions count, and its words in a
    row (see ``echoed``).
    """
    for match in _NAMES.finditer(evolved):
        if match.group().casefold() not in given.casefold():
            return match.group()
    return echoed(evolved, given, asked)


def sorry(answer: str) -> bool:
    """The answer is short (under 80 words) and says "sorry": the instruction could not be followed."""
    return "sorry" in answer.casefold() and len(answer.split()) < _SHORT_WORDS


def says_nothing(answer: str) -> bool:
    """The answer holds punctuation and stop words alone."""
    stop_words = frozenset(_STOP_WORDS.split())
    return all(word in stop_words for word in words(answer))
