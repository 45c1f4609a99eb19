"""Which language a text is in: CLD2, after code, addresses and markup are taken out.

Chosen by measurement (`benchmarks/language.py`): with the rule for Han characters below it names whole texts and texts
of one to three words better than py3langid, fastText's small model and lingua (of five words a little worse than the
first and the last), is faster than all of them, and alone gives the shares of mixed text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from datagen.errors import ConfigError

_BESIDE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]{1,300}`|<[^<>\n]{1,200}>|\$[^$\n]{1,200}\$|(?:https?://|www\.)\S+"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.\w+",
    re.DOTALL,
)
_MARK = re.compile(r"[`<$@]|://|www\.")
_SYMBOLS = dict.fromkeys(map(ord, "(){}[]<>=_/\\*+|&^%$#@~"))
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_HAN, _KANA, _LETTER = re.compile(r"[\u3400-\u9fff]"), re.compile(r"[\u3040-\u30ff]"), re.compile(r"[^\W\d_]")
_CODE_DENSITY = 0.12  # symbols a character, above which a line is read as code
_NEW_CODES = {"iw": "he", "jw": "jv", "in": "id", "un": "", "xx": ""}
_OLD_CODES = {"he": "iw", "jv": "jw"}


class Language(NamedTuple):
    """``code`` is ISO 639-1 (639-2 where there is none), empty where there is no prose to read or CLD2 has no idea.

    ``certain`` is CLD2's own word for it; ``shares`` of the text's bytes by language, at most three.
    """

    code: str
    certain: bool
    shares: dict[str, float]


def identify(text: str, expected: Collection[str] = ()) -> Language:
    """The language of a text's prose. Where that is not certain, one of ``expected`` wins if it fits.

    Raises ``ConfigError`` where pycld2 is not installed.
    """
    readable = prose(text)
    found = _detect(readable)
    if not found.certain and found.code not in expected:
        fitting = (hinted for code in expected if (hinted := _detect(readable, code)).code == code)
        return next(fitting, found)
    return found


def prose(text: str) -> str:
    """The text without code (fenced, inline, or lines that look like it), addresses, tags and formulas."""
    text = _UNPRINTABLE.sub(" ", text)
    if _MARK.search(text):  # or the long search for nothing would cost as much as the identification
        text = _BESIDE.sub(" ", text)
    return "\n".join(line for line in text.splitlines() if not _is_code(line))


def known_languages() -> frozenset[str]:
    """The codes that ``identify`` can give back. Raises ``ConfigError`` where pycld2 is not installed."""
    cld2 = _cld2()
    return frozenset(_code(code) for name, code in cld2.LANGUAGES if name in cld2.DETECTED_LANGUAGES) - {""}


def _is_code(line: str) -> bool:
    ends_as_code = line.isascii() and line.rstrip().endswith((";", "{", "}"))
    return ends_as_code or len(line) - len(line.translate(_SYMBOLS)) > _CODE_DENSITY * len(line)


def _detect(text: str, hint: str = "") -> Language:
    cld2 = _cld2()
    if not _LETTER.search(text):
        return Language("", False, {})
    try:
        certain, _, found = cld2.detect(text, hintLanguage=_OLD_CODES.get(hint, hint) or None)
        if not certain:
            _, _, found = cld2.detect(text, hintLanguage=_OLD_CODES.get(hint, hint) or None, bestEffort=True)
    except cld2.error:  # bytes that it holds to be no UTF-8
        return Language("", False, {})
    shares: dict[str, float] = {}
    for _, code, percent, _ in found:
        if name := _code(code):
            shares[name] = shares.get(name, 0.0) + percent / 100
    best = max(shares, key=lambda code: shares[code], default="")
    if best == "ja" and _HAN.search(text) and not _KANA.search(text):
        best, shares = "zh", {"zh" if code == "ja" else code: share for code, share in shares.items()}
    return Language(best, bool(certain), shares)


def _code(code: str) -> str:
    short = code.partition("-")[0]
    return _NEW_CODES.get(short, short)


def _cld2() -> Any:
    try:
        import pycld2
    except ModuleNotFoundError as error:
        raise ConfigError("language identification needs 'pycld2': pip install 'datagen[language]'") from error
    return pycld2
