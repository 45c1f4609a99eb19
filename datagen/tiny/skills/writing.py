"""Tasks with many right answers, judged by rule, and the translation of whole sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from datagen.tiny import lexicon as lx
from datagen.tiny.skill import Args, Skill
from datagen.tiny.skills.facts import words_of

_NUMBERS = {"two": 2, "three": 3, "four": 4}
_KIND_OF_PLURAL = {plural: kind for kind, plural in lx.KIND_PLURAL.items()}


def _draw_name(rng: Random) -> Args:
    kind = rng.choice(list(lx.KINDS))
    return {
        "n": rng.choice(list(_NUMBERS)),
        "k": lx.KIND_PLURAL[kind],
        "x": " ".join(rng.sample(lx.KINDS[kind], rng.randint(1, 2))),
    }


def _wanted(args: Args) -> tuple[int, tuple[str, ...], set[str]] | None:
    kind = _KIND_OF_PLURAL.get(args["k"].casefold())
    banned = {word for word in words_of(args["x"].casefold()) if word != "or"}
    if kind is None or args["n"].casefold() not in _NUMBERS or not banned <= set(lx.KIND):
        return None
    return _NUMBERS[args["n"].casefold()], lx.KINDS[kind], banned


def _some(args: Args) -> str | None:
    wanted = _wanted(args)
    if wanted is None:
        return None
    number, members, banned = wanted
    start = sum(map(ord, args["x"])) % len(members)
    allowed = [word for word in members[start:] + members[:start] if word not in banned]
    return " ".join(allowed[:number])


def _is_list(args: Args, answer: str) -> bool:
    wanted = _wanted(args)
    words = answer.casefold().rstrip(".").split()
    return (
        wanted is not None and len(words) == len(set(words)) == wanted[0] and set(words) <= set(wanted[1]) - wanted[2]
    )


def _draw_sentence(rng: Random) -> Args:
    thing = rng.sample(lx.COUNTED, 2)[0]
    words = [rng.choice(lx.COLOURS), rng.choice(lx.NAMES), rng.choice(lx.VERBS_HAVE), thing]
    return {"x": " ".join(words[rng.randint(0, 1) :])}


def _sentence_words(args: Args) -> list[str] | None:
    words = words_of(args["x"])
    pools = (lx.COLOURS, lx.NAMES, lx.VERBS_HAVE, lx.COUNTED)
    used = [next((i for i, pool in enumerate(pools) if word in pool), -1) for word in words]
    return words if 2 <= len(words) <= 4 and -1 not in used and len(set(used)) == len(used) else None


def _sentence(args: Args) -> str | None:
    words = _sentence_words(args)
    if words is None:
        return None
    pick = {
        pool: next((w for w in words if w in pool), "") for pool in (lx.COLOURS, lx.NAMES, lx.VERBS_HAVE, lx.COUNTED)
    }
    seed = sum(map(ord, args["x"]))
    colour, name, verb, thing = (word or pool[seed % len(pool)] for pool, word in pick.items())
    return f"{name} {verb} a {colour} {thing}."


def _is_sentence(args: Args, answer: str) -> bool:
    """One sentence of a name, a verb, an article, perhaps a colour or size, and a thing; all asked words are in it."""
    words = _sentence_words(args)
    found = re.fullmatch(r"(\w+) (\w+) (?:a|the) (?:(\w+) )?(\w+)\.", answer)
    if words is None or found is None:
        return False
    name, verb, colour, thing = found.groups()
    lawful = (
        name in lx.NAMES and verb in lx.VERBS_HAVE and thing in lx.COUNTED and colour in (None, *lx.COLOURS, *lx.SIZES)
    )
    return lawful and set(words) <= {name, verb, colour, thing}


def _draw_english(rng: Random) -> Args:
    colour = (rng.choice(list(lx.FOREIGN_COLOUR)) + " ") if rng.random() < 0.7 else ""
    return {
        "x": f"the {colour}{rng.choice(lx.SUBJECTS)} {rng.choice(list(lx.FOREIGN_VERB))} the {rng.choice(lx.OBJECTS)}"
    }


_POOLS = (lx.FOREIGN_COLOUR, lx.SUBJECTS, lx.FOREIGN_VERB, lx.OBJECTS)
_ENGLISH = re.compile("the (?:({}) )?({}) ({}) the ({})".format(*("|".join(pool) for pool in _POOLS)))


def _translated(index: int) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        found = _ENGLISH.fullmatch(args["x"].casefold())
        if found is None:
            return None
        colour, subject, verb, thing = found.groups()
        article, noun = lx.FOREIGN_NOUN[subject][index]
        feminine = article in ("la", "une")
        middle = f" {lx.FOREIGN_COLOUR[colour][index][feminine]}" if colour else ""
        return f"{article} {noun}{middle} {lx.FOREIGN_VERB[verb][index]} {' '.join(lx.FOREIGN_NOUN[thing][index])}"

    return solve


def _sentence_into(index: int) -> Skill:
    language = lx.LANGUAGES[index]
    wordings = (
        f"Translate the sentence into {language}: {{x}}",
        f"Say this sentence in {language}: {{x}}",
        f"Put into {language}: {{x}}",
        f"What is {{x}} as a {language} sentence?",
        f"Write in {language} that {{x}}.",
        f"Give the {language} for this sentence.\n{{x}}",
    )
    return Skill(
        f"sentence_{language.lower()}",
        "languages",
        wordings,
        _draw_english,
        _translated(index),
        statement=f"{{x}} is in {language} {{answer}}.",
        share=1.2,
        novel=2.0,
    )


SKILLS = (
    Skill(
        "name_some",
        "writing",
        (
            "Name {n} {k} but not {x}.",
            "List {n} {k} other than {x}.",
            "Give me {n} {k}, never {x}.",
            "Write {n} {k} without {x}.",
            "Think of {n} {k} except {x}.",
            "I know {x}, tell me {n} more {k}.",
        ),
        _draw_name,
        _some,
        _is_list,
        statement="{n} {k} but not {x} are {answer}.",
        share=2.5,
        novel=2.0,
    ),
    Skill(
        "sentence",
        "writing",
        (
            "Write a sentence with the words {x}.",
            "Make one sentence from {x}.",
            "Use {x} in a sentence.",
            "Build a sentence that has {x}.",
            "Say something with {x} in it.",
            "Write one sentence with these words.\n{x}",
        ),
        _draw_sentence,
        _sentence,
        _is_sentence,
        statement="with {x} say {answer}",
        novel=3.0,
        share=1.2,
    ),
    *(_sentence_into(index) for index in range(3)),
)
