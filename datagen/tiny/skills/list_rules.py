"""Lists of words: order, position, membership, change. Arguments come from an endless supply, so these stay novel."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from datagen.tiny import lexicon as lx
from datagen.tiny.skill import Args
from datagen.tiny.skills.facts import words_of

POOL = (*lx.THINGS, *lx.COLOURS)
KNOWN = {word.casefold() for word in (*POOL, *lx.NAMES)}


def draw_words(rng: Random, least: int = 3, most: int = 6) -> list[str]:
    """Different words: things and colours, or people's names now and then."""
    pool = lx.NAMES if rng.random() < 0.15 else POOL
    return rng.sample(pool, rng.randint(least, most))


def draw_list(rng: Random) -> Args:
    """A list."""
    return {"x": " ".join(draw_words(rng))}


def known(text: str, least: int = 2) -> list[str] | None:
    """The words of a list, where it has from ``least`` to eight of them and the world knows all."""
    words = words_of(text)
    return words if least <= len(words) <= 8 and all(word.casefold() in KNOWN for word in words) else None


def once(args: Args) -> list[str] | None:
    """The known list, if the word asked about stands in it exactly once."""
    words = known(args["x"])
    return words if words and words.count(args["a"]) == 1 else None


def on_list(rule: Callable[[list[str]], str], least: int = 2) -> Callable[[Args], str | None]:
    """A solver that applies ``rule`` to a known list."""

    def solve(args: Args) -> str | None:
        words = known(args["x"], least)
        return rule(words) if words else None

    return solve


def with_member(rng: Random) -> Args:
    """A list and one of its words."""
    words = draw_words(rng)
    return {"x": " ".join(words), "a": rng.choice(words)}


def with_neighbour(rng: Random, last: bool) -> Args:
    """A list and one of its words that has a next one (``last``), or one before it."""
    words = draw_words(rng)
    return {"x": " ".join(words), "a": rng.choice(words[:-1] if last else words[1:])}


def maybe_member(rng: Random) -> Args:
    """A list and a word that stands in it every second time."""
    words = draw_words(rng, 4, 7)
    return {"a": words[0], "x": " ".join(words[1:] if rng.random() < 0.5 else rng.sample(words[:-1], len(words) - 1))}


def with_two(rng: Random) -> Args:
    """A list, one of its words, and a word that is not in it."""
    words = draw_words(rng, 4, 6)
    return {"x": " ".join(words[1:]), "a": rng.choice(words[1:]), "b": words[0]}


def neighbour(step: int) -> Callable[[Args], str | None]:
    """A solver: the word ``step`` places from the one asked about."""

    def solve(args: Args) -> str | None:
        words = once(args)
        if words is None or not 0 <= words.index(args["a"]) + step < len(words):
            return None
        return words[words.index(args["a"]) + step]

    return solve


def without(args: Args) -> str | None:
    """The list without the word."""
    words = once(args)
    return " ".join(word for word in words if word != args["a"]) if words else None


def replaced(args: Args) -> str | None:
    """The list with one word exchanged for a new one."""
    words = once(args)
    if words is None or args["b"] in words or args["b"].casefold() not in KNOWN:
        return None
    return " ".join(args["b"] if word == args["a"] else word for word in words)


def member(args: Args) -> str | None:
    """Whether the word stands in the list."""
    words = known(args["x"])
    return ("yes" if args["a"] in words else "no") if words and args["a"].casefold() in KNOWN else None


def draw_odd(rng: Random) -> Args:
    """Three or four words of one kind and one of another."""
    kind, other = rng.sample(list(lx.KINDS), 2)
    words = [*rng.sample(lx.KINDS[kind], rng.randint(3, 4)), rng.choice(lx.KINDS[other])]
    rng.shuffle(words)
    return {"x": " ".join(words)}


def odd(args: Args) -> str | None:
    """The only word of its kind, where all others are of one kind."""
    words = words_of(args["x"].casefold())
    kinds = [lx.KIND.get(word, "") for word in words]
    lone = [word for word, kind in zip(words, kinds, strict=True) if kinds.count(kind) == 1]
    return lone[0] if len(words) > 2 and "" not in kinds and len(set(kinds)) == 2 and len(lone) == 1 else None


def draw_pick(rng: Random) -> Args:
    """Words of two kinds, and one of the kinds."""
    kind, other = rng.sample(list(lx.KINDS), 2)
    words = [*rng.sample(lx.KINDS[kind], rng.randint(1, 3)), *rng.sample(lx.KINDS[other], rng.randint(2, 3))]
    rng.shuffle(words)
    return {"x": " ".join(words), "k": lx.KIND_PLURAL[kind]}


def picked(args: Args) -> str | None:
    """The words of the kind, in the order of the list."""
    words = words_of(args["x"].casefold())
    chosen = [word for word in words if lx.KIND_PLURAL.get(lx.KIND.get(word, "")) == args["k"].casefold()]
    return " ".join(chosen) if chosen and all(word in lx.KIND for word in words) else None


def draw_repeated(rng: Random) -> Args:
    """A list with one word two to four times."""
    words = draw_words(rng, 2, 3)
    many = [*words, *[words[0]] * rng.randint(1, 3)]
    rng.shuffle(many)
    return {"x": " ".join(many), "a": words[0]}


def times(args: Args) -> str | None:
    """How often the word stands in the list."""
    words = words_of(args["x"])
    known = 2 <= len(words) <= 8 and all(word.casefold() in KNOWN for word in words)
    return str(words.count(args["a"])) if known and args["a"] in words else None


def draw_nth(rng: Random) -> Args:
    """A list and an ordinal within it."""
    words = draw_words(rng)
    return {"x": " ".join(words), "n": lx.ORDINALS[rng.randrange(1, len(words))]}


def nth(args: Args) -> str | None:
    """The word at that place."""
    words = known(args["x"])
    if words is None or args["n"] not in lx.ORDINALS or lx.ORDINALS.index(args["n"]) >= len(words):
        return None
    return words[lx.ORDINALS.index(args["n"])]
