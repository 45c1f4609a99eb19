"""Facts: each word has one right answer, asked for one to four words at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from datagen.tiny import lexicon as lx
from datagen.tiny.skill import Args, Skill


def words_of(text: str) -> list[str]:
    """The words of a list slot, which may be joined with "and"."""
    return [word for word in text.split() if word != "and"]


def _following(words: Sequence[str], step: int) -> dict[str, str]:
    return {word: words[(index + step) % len(words)] for index, word in enumerate(words)}


def _skill(
    name: str,
    facts: dict[str, str],
    noun: str,
    *own: str,
    group: str = "words",
    novel: float = 1.0,
    most: int = 4,
    rule: Callable[[str], str] | None = None,
) -> Skill:
    """A skill that maps each word by ``facts``; ``noun`` names the relation, ``own`` are wordings of its own.

    Where a ``rule`` gives the facts, it solves every word of the world, and ``facts`` are those that are drawn.
    """
    keys = {key.casefold(): value for key, value in facts.items()}
    if rule:
        keys |= {word: rule(word) for word in lx.WORDS}

    def draw(rng: Random) -> Args:
        count = rng.choices(range(1, most + 1), (3, 1, 3, 3)[:most])[0]
        return {"x": " ".join(rng.sample(list(facts), count))}

    def solve(args: Args) -> str | None:
        words = words_of(args["x"].casefold())
        if not words or len(words) > 6 or any(word not in keys for word in words):
            return None
        return " ".join(keys[word] for word in words)

    wordings = (
        f"What is the {noun} of {{x}}?",
        f"Give the {noun} of {{x}}.",
        f"Tell me the {noun} of {{x}}.",
        f"Write down the {noun} for {{x}}.",
        f"For each word give the {noun}.\n{{x}}",
        *own,
    )
    return Skill(
        name,
        group,
        wordings,
        draw,
        solve,
        facts=lambda args: len(words_of(args["x"])) == 1,
        statement=f"the {noun} of {{x}} is {{answer}}.",
        share=0.7,
        novel=novel,
    )


_N = lx.NUMBER_WORDS


def _language(index: int) -> tuple[Skill, Skill]:
    language = lx.LANGUAGES[index]
    there = {word: forms[index][1] for word, forms in lx.FOREIGN_NOUN.items()}
    there |= {word: forms[index][0] for word, forms in lx.FOREIGN_COLOUR.items()}
    there |= {word: forms[index] for word, forms in lx.FOREIGN_VERB.items()}
    back = {foreign: word for word, foreign in there.items()}
    return (
        _skill(
            f"to_{language.lower()}",
            there,
            f"{language} word",
            f"Translate into {language}: {{x}}",
            f"How do you say {{x}} in {language}?",
            f"Say in {language}: {{x}}",
            group="languages",
        ),
        _skill(
            f"from_{language.lower()}",
            back,
            f"English meaning of the {language} word",
            f"Translate from {language}: {{x}}",
            f"What does {{x}} mean in {language}?",
            f"Put the {language} words {{x}} into English.",
            group="languages",
        ),
    )


SKILLS = (
    _skill("opposite", lx.OPPOSITE, "opposite", "What is the contrary of {x}?", "Which words are the opposite of {x}?"),
    _skill("plural", lx.PLURAL, "plural", "Make plural: {x}", "Turn {x} into more than one."),
    _skill("past", lx.PAST, "past tense", "Put into the past: {x}", "Yesterday form of {x}?"),
    _skill("comparative", lx.COMPARATIVE, "comparative", "Compare with more: {x}", "Which word says more {x}?"),
    _skill("feminine", lx.FEMININE, "female form", "Who is the lady for {x}?", "Make female: {x}"),
    _skill("kind", lx.KIND, "kind", "What kind of thing is {x}?", "Which group holds {x}?", group="things"),
    _skill("colour", lx.COLOUR_OF, "colour", "Which colour has {x}?", "Name the usual colour: {x}", group="things"),
    _skill("material", lx.MATERIAL, "material", "What is {x} made of?", "Which stuff makes {x}?", group="things"),
    _skill("sound", lx.SOUND, "sound", "What does {x} say?", "Which noise makes {x}?", group="animals"),
    _skill("baby", lx.BABY, "baby", "What is a young {x} called?", "Name the young of {x}.", group="animals"),
    _skill("home", lx.HOME, "home", "Where does {x} live?", "In which place lives {x}?", group="animals"),
    _skill("legs", lx.LEGS, "number of legs", "How many legs has {x}?", "Count the legs: {x}", group="animals"),
    _skill(
        "workplace", lx.WORKPLACE, "workplace", "Where does the {x} work?", "Name where they work: {x}", group="people"
    ),
    _skill("capital", lx.CAPITAL, "capital", "Which city leads {x}?", "Name the capital city: {x}", group="countries"),
    _skill(
        "continent",
        lx.CONTINENT,
        "continent",
        "On which continent is {x}?",
        "Where on earth is {x}?",
        group="countries",
    ),
    _skill(
        "day_after",
        _following(lx.DAYS, 1),
        "next day",
        "Which day comes after {x}?",
        "What follows {x}?",
        group="calendar",
        most=3,
    ),
    _skill(
        "day_before",
        _following(lx.DAYS, -1),
        "day before",
        "Which day comes before {x}?",
        "Yesterday if today is {x}?",
        group="calendar",
        most=3,
    ),
    _skill(
        "month_after",
        _following(lx.MONTHS, 1),
        "next month",
        "Which month comes after {x}?",
        "Name the month that follows {x}.",
        group="calendar",
    ),
    _skill(
        "month_before",
        _following(lx.MONTHS, -1),
        "month before",
        "Which month comes before {x}?",
        "Name the month ahead of {x}.",
        group="calendar",
    ),
    _skill(
        "digits",
        {word: str(n) for n, word in enumerate(_N)},
        "digits",
        "Write as digits: {x}",
        "Turn {x} into figures.",
        group="numbers",
    ),
    _skill(
        "number_words",
        {str(n): word for n, word in enumerate(_N)},
        "word form",
        "Write in words: {x}",
        "Spell the numbers {x}.",
        group="numbers",
    ),
    _skill(
        "letter_after",
        dict(zip(lx.LETTERS, lx.LETTERS[1:], strict=False)),
        "next letter",
        "Which letter comes after {x}?",
        "What follows {x} in the alphabet?",
        group="letters",
    ),
    _skill(
        "first_letter",
        {word: word[0] for word in lx.SPELLED},
        "first letter",
        "With which letter starts {x}?",
        "Initials of these words: {x}",
        rule=lambda word: word[0],
        group="letters",
    ),
    _skill(
        "last_letter",
        {word: word[-1] for word in lx.SPELLED},
        "last letter",
        "With which letter ends {x}?",
        "Final letter of these words: {x}",
        rule=lambda word: word[-1],
        group="letters",
    ),
    _skill(
        "word_length",
        {word: str(len(word)) for word in lx.SPELLED},
        "number of letters",
        "How many letters has {x}?",
        "How long is the word {x}?",
        rule=lambda word: str(len(word)),
        group="letters",
    ),
    _skill(
        "spell",
        {word: " ".join(word) for word in lx.SPELLED},
        "spelling",
        "Spell the word {x}.",
        "Write {x} letter by letter.",
        rule=" ".join,
        group="letters",
        most=1,
        novel=0.2,
    ),
    *(skill for index in range(3) for skill in _language(index)),
)
