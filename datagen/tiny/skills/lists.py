"""Lists of words: order, position, membership, change. Arguments come from an endless supply, so these stay novel."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from datagen.tiny import lexicon as lx
from datagen.tiny.skill import Args, Skill
from datagen.tiny.skills.facts import words_of

_POOL = (*lx.THINGS, *lx.COLOURS)
_KNOWN = {word.casefold() for word in (*_POOL, *lx.NAMES)}


def draw_words(rng: Random, least: int = 3, most: int = 6) -> list[str]:
    """Different words: things and colours, or people's names now and then."""
    pool = lx.NAMES if rng.random() < 0.15 else _POOL
    return rng.sample(pool, rng.randint(least, most))


def _list(rng: Random) -> Args:
    return {"x": " ".join(draw_words(rng))}


def _known(text: str, least: int = 2) -> list[str] | None:
    words = words_of(text)
    return words if least <= len(words) <= 8 and all(word.casefold() in _KNOWN for word in words) else None


def _once(args: Args) -> list[str] | None:
    """The known list, if the word asked about stands in it exactly once."""
    words = _known(args["x"])
    return words if words and words.count(args["a"]) == 1 else None


def _on_list(rule: Callable[[list[str]], str], least: int = 2) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        words = _known(args["x"], least)
        return rule(words) if words else None

    return solve


def _with_member(rng: Random) -> Args:
    words = draw_words(rng)
    return {"x": " ".join(words), "a": rng.choice(words)}


def _with_neighbour(rng: Random, last: bool) -> Args:
    words = draw_words(rng)
    return {"x": " ".join(words), "a": rng.choice(words[:-1] if last else words[1:])}


def _maybe_member(rng: Random) -> Args:
    words = draw_words(rng, 4, 7)
    return {"a": words[0], "x": " ".join(words[1:] if rng.random() < 0.5 else rng.sample(words[:-1], len(words) - 1))}


def _with_two(rng: Random) -> Args:
    words = draw_words(rng, 4, 6)
    return {"x": " ".join(words[1:]), "a": rng.choice(words[1:]), "b": words[0]}


def _neighbour(step: int) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        words = _once(args)
        if words is None or not 0 <= words.index(args["a"]) + step < len(words):
            return None
        return words[words.index(args["a"]) + step]

    return solve


def _without(args: Args) -> str | None:
    words = _once(args)
    return " ".join(word for word in words if word != args["a"]) if words else None


def _replaced(args: Args) -> str | None:
    words = _once(args)
    if words is None or args["b"] in words or args["b"].casefold() not in _KNOWN:
        return None
    return " ".join(args["b"] if word == args["a"] else word for word in words)


def _member(args: Args) -> str | None:
    words = _known(args["x"])
    return ("yes" if args["a"] in words else "no") if words and args["a"].casefold() in _KNOWN else None


def _draw_odd(rng: Random) -> Args:
    kind, other = rng.sample(list(lx.KINDS), 2)
    words = [*rng.sample(lx.KINDS[kind], rng.randint(3, 4)), rng.choice(lx.KINDS[other])]
    rng.shuffle(words)
    return {"x": " ".join(words)}


def _odd(args: Args) -> str | None:
    words = words_of(args["x"].casefold())
    kinds = [lx.KIND.get(word, "") for word in words]
    lone = [word for word, kind in zip(words, kinds, strict=True) if kinds.count(kind) == 1]
    return lone[0] if len(words) > 2 and "" not in kinds and len(set(kinds)) == 2 and len(lone) == 1 else None


def _draw_pick(rng: Random) -> Args:
    kind, other = rng.sample(list(lx.KINDS), 2)
    words = [*rng.sample(lx.KINDS[kind], rng.randint(1, 3)), *rng.sample(lx.KINDS[other], rng.randint(2, 3))]
    rng.shuffle(words)
    return {"x": " ".join(words), "k": lx.KIND_PLURAL[kind]}


def _picked(args: Args) -> str | None:
    words = words_of(args["x"].casefold())
    chosen = [word for word in words if lx.KIND_PLURAL.get(lx.KIND.get(word, "")) == args["k"].casefold()]
    return " ".join(chosen) if chosen and all(word in lx.KIND for word in words) else None


def _draw_repeated(rng: Random) -> Args:
    words = draw_words(rng, 2, 3)
    many = [*words, *[words[0]] * rng.randint(1, 3)]
    rng.shuffle(many)
    return {"x": " ".join(many), "a": words[0]}


def _times(args: Args) -> str | None:
    words = words_of(args["x"])
    known = 2 <= len(words) <= 8 and all(word.casefold() in _KNOWN for word in words)
    return str(words.count(args["a"])) if known and args["a"] in words else None


def _draw_nth(rng: Random) -> Args:
    words = draw_words(rng)
    return {"x": " ".join(words), "n": lx.ORDINALS[rng.randrange(1, len(words))]}


def _nth(args: Args) -> str | None:
    words = _known(args["x"])
    if words is None or args["n"] not in lx.ORDINALS or lx.ORDINALS.index(args["n"]) >= len(words):
        return None
    return words[lx.ORDINALS.index(args["n"])]


def _list_skill(
    name: str,
    draw: Callable[[Random], Args],
    solve: Callable[[Args], str | None],
    statement: str,
    *wordings: str,
    share: float = 1.0,
    foreign: dict[str, str] | None = None,
) -> Skill:
    return Skill(
        name, "lists", wordings, draw, solve, statement=statement, share=share, novel=2.0, foreign=foreign or {}
    )


SKILLS = (
    _list_skill(
        "reverse",
        _list,
        _on_list(lambda w: " ".join(w[::-1])),
        "{x} in reverse is {answer}.",
        "Reverse the list {x}.",
        "Write backwards: {x}",
        "Say these words in reverse order: {x}",
        "Turn around the order of {x}.",
        "Put the last word first: {x}",
        "Reverse this list.\n{x}",
        share=1.6,
        foreign={
            "French": "Inverse la liste {x}.",
            "Spanish": "Invierte la lista {x}.",
            "Italian": "Inverti la lista {x}.",
        },
    ),
    _list_skill(
        "sort",
        _list,
        _on_list(lambda w: " ".join(sorted(w, key=str.casefold))),
        "{x} sorted is {answer}.",
        "Sort the words {x}.",
        "Put in alphabetical order: {x}",
        "Order {x} from a to z.",
        "Arrange by alphabet: {x}",
        "Alphabetical order of {x}?",
        "Sort these words by alphabet.\n{x}",
        share=3.0,
        foreign={
            "French": "Trie les mots {x}.",
            "Spanish": "Ordena las palabras {x}.",
            "Italian": "Ordina le parole {x}.",
        },
    ),
    _list_skill(
        "repeat",
        _list,
        _on_list(" ".join),
        "again {x} is {answer}.",
        "Repeat the words {x}.",
        "Say again: {x}",
        "Copy exactly: {x}",
        "Write down {x} once more.",
        "Echo my words: {x}",
        "Copy this line.\n{x}",
        foreign={
            "French": "Copie les mots {x}.",
            "Spanish": "Copia las palabras {x}.",
            "Italian": "Copia le parole {x}.",
        },
    ),
    _list_skill(
        "first",
        _list,
        _on_list(lambda w: w[0]),
        "the first word of {x} is {answer}.",
        "What is the first word of {x}?",
        "Give the first of {x}.",
        "Which word starts the list {x}?",
        "Begin of this list: {x}",
        "First word only: {x}",
        "Name the first word.\n{x}",
        foreign={
            "French": "Le premier mot de {x}?",
            "Spanish": "La primera palabra de {x}?",
            "Italian": "La prima parola di {x}?",
        },
    ),
    _list_skill(
        "last",
        _list,
        _on_list(lambda w: w[-1]),
        "the last word of {x} is {answer}.",
        "What is the last word of {x}?",
        "Give the last of {x}.",
        "Which word ends the list {x}?",
        "End of this list: {x}",
        "Last word only: {x}",
        "Name the last word.\n{x}",
        foreign={
            "French": "Le dernier mot de {x}?",
            "Spanish": "La ultima palabra de {x}?",
            "Italian": "La ultima parola di {x}?",
        },
    ),
    _list_skill(
        "count",
        _list,
        _on_list(lambda w: str(len(w))),
        "the number of words in {x} is {answer}.",
        "How many words are in {x}?",
        "Count the words: {x}",
        "How long is the list {x}?",
        "Give the number of items: {x}",
        "Number of words in {x}?",
        "Count the items of this list.\n{x}",
        foreign={
            "French": "Compte les mots {x}.",
            "Spanish": "Cuenta las palabras {x}.",
            "Italian": "Conta le parole {x}.",
        },
    ),
    _list_skill(
        "nth",
        _draw_nth,
        _nth,
        "the {n} word of {x} is {answer}.",
        "What is the {n} word of {x}?",
        "Give the {n} item: {x}",
        "Take the {n} word from {x}.",
        "Which word is {n} in {x}?",
        "Number {n} of the list {x}?",
        "Of {x} show the {n} one.",
    ),
    _list_skill(
        "after",
        lambda rng: _with_neighbour(rng, True),
        _neighbour(1),
        "in {x} after {a} comes {answer}.",
        "Which word comes after {a} in {x}?",
        "In the list {x} what follows {a}?",
        "Find the word behind {a}: {x}",
        "What stands right of {a} in {x}?",
        "After {a} comes what in {x}?",
        "Next one to {a} in the row {x}?",
        share=3.0,
    ),
    _list_skill(
        "before",
        lambda rng: _with_neighbour(rng, False),
        _neighbour(-1),
        "in {x} before {a} comes {answer}.",
        "Which word comes before {a} in {x}?",
        "In the list {x} what precedes {a}?",
        "Find the word ahead of {a}: {x}",
        "What stands left of {a} in {x}?",
        "Before {a} comes what in {x}?",
        "Name who leads {a} in the row {x}.",
        share=3.0,
    ),
    _list_skill(
        "remove",
        _with_member,
        _without,
        "{x} without {a} is {answer}.",
        "Remove {a} from {x}.",
        "Take {a} out of {x}.",
        "Drop the word {a}: {x}",
        "Write {x} without {a}.",
        "Leave out {a} in {x}.",
        "Delete {a} from the list {x}.",
        share=1.5,
    ),
    _list_skill(
        "replace",
        _with_two,
        _replaced,
        "{x} with {b} for {a} is {answer}.",
        "Replace {a} by {b} in {x}.",
        "Put {b} for {a}: {x}",
        "In {x} change {a} to {b}.",
        "Swap {a} for {b} in {x}.",
        "Write {x} with {b} in place of {a}.",
        "Exchange {a} with the new word {b}: {x}",
        share=3.0,
    ),
    _list_skill(
        "member",
        _maybe_member,
        _member,
        "is {a} among {x} {answer}.",
        "Is {a} in the list {x}?",
        "Does {x} contain {a}?",
        "Say yes if {a} is among {x}.",
        "Can you find {a} in {x}?",
        "Do you see {a} here: {x}",
        "Is the word {a} part of {x}?",
        share=3.0,
        foreign={
            "French": "Est-ce que {a} est dans la liste {x}?",
            "Spanish": "Esta {a} en la lista {x}?",
            "Italian": "C'e {a} nella lista {x}?",
        },
    ),
    _list_skill(
        "odd_one",
        _draw_odd,
        _odd,
        "the odd one of {x} is {answer}.",
        "Which word does not belong: {x}",
        "Find the odd one out: {x}",
        "What is wrong in the group {x}?",
        "Name the stranger among {x}.",
        "Which of {x} is different?",
        "Pick the word that does not fit.\n{x}",
        share=1.5,
    ),
    _list_skill(
        "pick",
        _draw_pick,
        _picked,
        "the {k} in {x} are {answer}.",
        "Which of {x} are {k}?",
        "Pick the {k}: {x}",
        "Keep only {k} from {x}.",
        "List all {k} found in {x}.",
        "Find every one of the {k} in {x}.",
        "From {x} take just the {k}.",
        share=2.5,
    ),
    _list_skill(
        "times",
        _draw_repeated,
        _times,
        "in {x} the word {a} comes {answer} times.",
        "How often is {a} in {x}?",
        "Count {a} in {x}.",
        "How many times does {x} say {a}?",
        "Number of {a} among {x}?",
        "How often do you read {a} here: {x}",
        "In {x} count every {a}.",
        share=2.0,
    ),
)
