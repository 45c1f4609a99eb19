"""The 25 instructions of IFEval that a program can check (arXiv 2311.07911, table 4), one function each.

A function's name is the instruction's id with its colon and group left out; its arguments after the response are the
instruction's own. All are written from the paper's descriptions. Where those leave it open: words are runs of letters
and digits, keywords are found in any case and as part of longer words but for forbidden ones, which are whole words;
sentences end with a full stop, question or exclamation mark (also full-width) before a space or the end, abbreviations
and initials aside; languages are named by CLD2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Literal

from datagen.text.language import identify

Relation = Literal["at least", "less than"]

_SENTENCE = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]*_]*+(?=\s|$)|[。！？]+[”’」』）]*")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|etc|jr|sr|no|fig|e\.g|i\.e|approx|inc|ltd|co)|\b[a-z])\.$", re.I
)
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,3}\.$")


def existence(response: str, *, keywords: list[str]) -> bool:
    """Every keyword occurs."""
    return all(keyword.lower() in response.lower() for keyword in keywords)


def frequency(response: str, *, keyword: str, frequency: int, relation: Relation) -> bool:
    """The keyword occurs so often."""
    return _holds(response.lower().count(keyword.lower().strip()), relation, frequency)


def forbidden_words(response: str, *, forbidden_words: list[str]) -> bool:
    """None of the words occurs."""
    return not any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", response, re.I) for word in forbidden_words)


def letter_frequency(response: str, *, letter: str, let_frequency: int, let_relation: Relation) -> bool:
    """The letter (or sign) occurs so often, in either case."""
    return _holds(response.lower().count(letter.lower()), let_relation, let_frequency)


def response_language(response: str, *, language: str) -> bool:
    """All of it is in one language, by its ISO 639-1 code."""
    return identify(response, [language]).code == language


def number_sentences(response: str, *, num_sentences: int, relation: Relation) -> bool:
    """It has so many sentences."""
    return _holds(count_sentences(response), relation, num_sentences)


def number_paragraphs(response: str, *, num_paragraphs: int) -> bool:
    """Exactly so many paragraphs, parted by the divider ``***``; none between two dividers is empty."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", response)]
    return all(parts[1:-1]) and sum(map(bool, parts)) == num_paragraphs


def number_words(response: str, *, num_words: int, relation: Relation) -> bool:
    """It has so many words."""
    return _holds(len(re.findall(r"\w+", response)), relation, num_words)


def nth_paragraph_first_word(response: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Exactly so many paragraphs, parted by empty lines, of which the nth begins with the word, in any case."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", response) if part.strip()]
    if len(parts) != num_paragraphs or not 1 <= nth_paragraph <= len(parts):
        return False
    first = re.match(r"\W*([\w'’-]+)", parts[nth_paragraph - 1])
    return first is not None and first[1].strip("'’-_").lower() == first_word.lower().strip()


def number_placeholders(response: str, *, num_placeholders: int) -> bool:
    """At least so many placeholders in square brackets, such as ``[address]``."""
    return len(re.findall(r"\[[^\[\]\n]+\]", response)) >= num_placeholders


def postscript(response: str, *, postscript_marker: str) -> bool:
    """A line begins with the marker, ``P.S.`` or ``P.P.S``, whether or not with spaces or its last stop."""
    letters = [re.escape(letter) for letter in postscript_marker if letter.isalpha()]
    pattern = r"\.\s?".join(letters) if "." in postscript_marker else re.escape(postscript_marker.strip())
    return re.search(rf"^[^\w\n]*{pattern}\b", response, re.I | re.M) is not None


def number_bullet_lists(response: str, *, num_bullets: int) -> bool:
    """Exactly so many Markdown bullet points (``* `` or ``- ``)."""
    return len(re.findall(r"^[ \t]*[*-][ \t]+\S", response, re.M)) == num_bullets


def constrained_response(response: str) -> bool:
    """One of the three sentences that the instruction allows is in it."""
    return any(f"my answer is {word}." in response.lower() for word in ("yes", "no", "maybe"))


def number_highlighted_sections(response: str, *, num_highlights: int) -> bool:
    """At least so many stretches highlighted by Markdown: ``*so*`` or ``**so**``."""
    doubles = re.findall(r"\*\*(?=[^\s*])[^*\n]+\*\*", response)
    rest = re.sub(r"\*\*(?=[^\s*])[^*\n]+\*\*", " ", response)
    return len(doubles) + len(re.findall(r"(?<!\*)\*(?=[^\s*])[^*\n]+\*(?!\*)", rest)) >= num_highlights


def multiple_sections(response: str, *, section_spliter: str, num_sections: int) -> bool:
    """At least so many sections, each headed by the word and a number."""
    return len(re.findall(rf"(?<!\w){re.escape(section_spliter.strip())}\s?\d+", response)) >= num_sections


def json_format(response: str) -> bool:
    """All of it is JSON, in a Markdown fence or not."""
    text = re.sub(r"^```\w*", "", response.strip()).removesuffix("```")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def title(response: str) -> bool:
    """It has a title within double angular brackets."""
    return any(found.strip() for found in re.findall(r"<<([^<>\n]+)>>", response))


def two_responses(response: str) -> bool:
    """Two different responses, parted by six asterisks."""
    parts = [part.strip() for part in response.split("******")]
    inner = [part for at, part in enumerate(parts) if part or 0 < at < len(parts) - 1]
    return len(inner) == 2 and all(inner) and inner[0] != inner[1]


def repeat_prompt(response: str, *, prompt_to_repeat: str) -> bool:
    """It begins with the request, word for word."""
    return response.strip().lower().startswith(prompt_to_repeat.strip().lower())


def end_checker(response: str, *, end_phrase: str) -> bool:
    """It ends with the phrase, quotation marks aside."""
    return response.strip().strip('"').strip().lower().endswith(end_phrase.strip().strip('"').strip().lower())


def quotation(response: str) -> bool:
    """All of it is within double quotation marks."""
    text = response.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def capital_word_frequency(response: str, *, capital_frequency: int, capital_relation: Relation) -> bool:
    """So many words are in capitals throughout."""
    found = re.findall(r"[^\W\d_](?:[\w'’-]*\w)?", response)
    return _holds(sum(word.isupper() for word in found), capital_relation, capital_frequency)


def english_capital(response: str) -> bool:
    """English, in capitals alone."""
    return response.isupper() and _is_english(response)


def english_lowercase(response: str) -> bool:
    """English, without any capital."""
    return response.islower() and _is_english(response)


def no_comma(response: str) -> bool:
    """It has no comma."""
    return "," not in response


def count_sentences(text: str) -> int:
    """Sentences by their ends; what follows the last end counts as one more."""
    count, end, length = 0, 0, len(text.rstrip())
    for found in _SENTENCE.finditer(text):
        before = text[max(end, found.end() - 12) : found.end()]
        is_last = found.end() == length
        if (_ABBREVIATION.search(before) and not is_last) or _LIST_NUMBER.search(before):
            continue
        count += bool(re.search(r"\w", text[end : found.end()]))
        end = found.end()
    return count + bool(re.search(r"\w", text[end:]))


def _holds(count: int, relation: Relation, wanted: int) -> bool:
    return count >= wanted if relation == "at least" else count < wanted


def _is_english(text: str) -> bool:
    """English, or too short for anyone to say that it is not."""
    found = identify(text.lower(), ["en"])
    return found.code in ("", "en") or not found.certain


CHECKS: dict[str, Callable[..., bool]] = {
    "keywords:existence": existence,
    "keywords:frequency": frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_words": number_words,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "punctuation:no_comma": no_comma,
}
