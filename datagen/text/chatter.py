"""What chat models say around a text that they were asked for alone, such as "Sure! Here is the rewritten task:"."""

from __future__ import annotations

import re

_MADE = "rewritten|rewrite|version|translated|translation|(?:next|new) message"
_OPENING = re.compile(
    r"\s{0,20}(?:(?:sure|certainly|absolutely|of course|okay)\b ?[!,.:]"
    rf"|here(?:'s| is)\b[^\n]{{0,60}}\b(?:{_MADE})\b[^\n]{{0,40}}:)",
    re.I,
)
_OFFER = r"(?:let me know|feel free|if you(?:'d| would)? (?:like|need|want))\b"
_CLOSING = re.compile(
    r"\n[ \t]*\n(?=[^\n]{0,80}\bhope (?:that )?(?:this|these|it|they) helps?\b"
    rf"|[^\n]{{0,20}}\b{_OFFER}[^\n]{{0,60}}\b(?:more|other|another|further) (?:example|task|instance|version)s?\b)"
    r"[^\n]{1,200}$",
    re.I,
)
_LONGEST = 300
_ROOM, _TIMES = 4000, 8


def chatter(reply: str, given: str) -> bool:
    """A reply opens or ends with a word to the asker, and the text that it was made of does not."""
    return any(find(reply) and not find(given) for find in (_OPENING.match, _closing))


def babble(reply: str, given: str) -> bool:
    """A reply is over 8 times as long as the text that it is made of, and by over 4,000 characters."""
    return len(reply) > max(_TIMES * len(given), len(given) + _ROOM)


def without_closing(reply: str) -> str:
    """The reply without a last paragraph that offers more or hopes to have helped, which belongs to no field."""
    reply = reply.rstrip()
    closing = _closing(reply)
    return reply[: max(0, len(reply) - _LONGEST) + closing.start()] if closing else reply


def _closing(text: str) -> re.Match[str] | None:
    return _CLOSING.search(text.rstrip()[-_LONGEST:])
