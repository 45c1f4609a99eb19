"""Short stories with a question: the slots are most of the words, so new ones are always easy to find."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from datagen.tiny import lexicon as lx
from datagen.tiny.skill import Args, Skill


def _are(args: Args, **pools: tuple[str, ...]) -> bool:
    return all(args[slot] in pool for slot, pool in pools.items())


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 3 else None


_NOUNS = tuple(lx.PLURAL[word] for word in lx.COUNTED)


def _draw_more(rng: Random) -> Args:
    p, q = rng.sample(lx.PLACES, 2)
    return {
        "a": rng.choice(lx.NAMES),
        "n": str(rng.randint(2, 10)),
        "c": rng.choice(lx.COLOURS),
        "o": rng.choice(_NOUNS),
        "p": p,
        "m": str(rng.randint(1, 9)),
        "q": q,
    }


def _more(sign: int) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        n, m = _count(args["n"]), _count(args["m"])
        fits = _are(args, a=lx.NAMES, c=lx.COLOURS, o=_NOUNS, p=lx.PLACES, q=lx.PLACES)
        if n is None or m is None or not fits or n > 20 or m > 20 or n + sign * m < 0:
            return None
        return str(n + sign * m)

    return solve


def _draw_less(rng: Random) -> Args:
    args = _draw_more(rng)
    n = rng.randint(2, 12)
    return args | {"n": str(n), "m": str(rng.randint(1, min(n, 9)))}


def _draw_person(rng: Random) -> Args:
    return {
        "a": rng.choice(lx.NAMES),
        "j": rng.choice(lx.JOBS),
        "p": rng.choice(lx.CITIES),
        "v": rng.choice(lx.VERBS_HAVE),
        "c": rng.choice(lx.COLOURS),
        "o": rng.choice(lx.COUNTED),
    }


def _person(slot: str) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        fits = _are(args, a=lx.NAMES, j=lx.JOBS, p=lx.CITIES, v=lx.VERBS_HAVE, c=lx.COLOURS, o=lx.COUNTED)
        return args[slot] if fits else None

    return solve


def _draw_pair(rng: Random) -> Args:
    a, b = rng.sample(lx.NAMES, 2)
    n, m = rng.sample(range(1, 21), 2)
    return {"a": a, "b": b, "n": str(n), "m": str(m), "o": rng.choice(_NOUNS), "p": rng.choice(lx.PLACES)}


def _richer(sign: int) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        n, m = _count(args["n"]), _count(args["m"])
        fits = _are(args, a=lx.NAMES, b=lx.NAMES, o=_NOUNS, p=lx.PLACES) and args["a"] != args["b"]
        if n is None or m is None or n == m or not fits:
            return None
        return args["a"] if (n - m) * sign > 0 else args["b"]

    return solve


def _draw_spots(rng: Random) -> Args:
    (a, b), (x, y) = rng.sample(lx.THINGS, 2), rng.sample(lx.SPOTS, 2)
    return {"a": a, "b": b, "x": x, "xx": y, "q": rng.choice((a, b))}


def _spot(args: Args) -> str | None:
    if (
        not _are(args, a=lx.THINGS, b=lx.THINGS, x=lx.SPOTS, xx=lx.SPOTS, q=(args["a"], args["b"]))
        or args["a"] == args["b"]
    ):
        return None
    return args["x"] if args["q"] == args["a"] else args["xx"]


def _draw_gift(rng: Random) -> Args:
    a, b, d = rng.sample(lx.NAMES, 3)
    return {"a": a, "b": b, "d": d, "s": rng.choice(lx.SIZES), "o": rng.choice(lx.COUNTED), "p": rng.choice(lx.PLACES)}


def _gift(slot: str) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        fits = _are(args, a=lx.NAMES, b=lx.NAMES, d=lx.NAMES, s=lx.SIZES, o=lx.COUNTED, p=lx.PLACES)
        return args[slot] if fits else None

    return solve


def _draw_tall(rng: Random) -> Args:
    a, b, c = rng.sample(lx.NAMES, 3)
    return {"a": a, "b": b, "c": c, "w": rng.choice(tuple(lx.COMPARATIVE.values()))}


def _tall(args: Args) -> str | None:
    fits = _are(args, a=lx.NAMES, b=lx.NAMES, c=lx.NAMES, w=tuple(lx.COMPARATIVE.values()))
    return args["a"] if fits and len({args["a"], args["b"], args["c"]}) == 3 else None


# How plain text tells each story: no question in it.
_STATEMENTS = {
    "story_more": "{a} has {n} {c} {o} in the {p} and finds {m} more at the {q}, so {a} has {answer}.",
    "story_less": "{a} has {n} {c} {o} in the {p} and loses {m} at the {q}, so {answer} remain.",
    "who_lives": "{a} the {j} lives in {p} and {v} a {c} {o}, so the city is {answer}.",
    "who_job": "{a} the {j} lives in {p} and {v} a {c} {o}, so the job is {answer}.",
    "who_colour": "{a} the {j} lives in {p} and {v} a {c} {o}, so the colour is {answer}.",
    "who_thing": "{a} the {j} lives in {p} and {v} a {c} {o}, so the thing is {answer}.",
    "who_name": "in {p} lives a {j}, {a}, who {v} a {c} {o}, so the name is {answer}.",
    "who_more": "{a} has {n} {o} and {b} has {m} {o} in the {p}, so more has {answer}.",
    "who_less": "{a} has {n} {o} and {b} has {m} {o} in the {p}, so less has {answer}.",
    "where_is": "the {a} is {x} and the {b} is {xx}, so the {q} is {answer}.",
    "gift_to": "in the {p} {a} gives {b} the {s} {o} of {d}, so it goes to {answer}.",
    "gift_from": "in the {p} {a} gives {b} the {s} {o} of {d}, so it was from {answer}.",
    "gift_where": "{a} took the {s} {o} of {d} to the {p} for {b}, so the place is {answer}.",
    "most_of_three": "{a} is {w} than {b} and {b} is {w} than {c}, so the first is {answer}.",
}


def _story(
    name: str,
    draw: Callable[[Random], Args],
    solve: Callable[[Args], str | None],
    *wordings: str,
    novel: float = 2.0,
    share: float = 1.0,
) -> Skill:
    return Skill(name, "stories", wordings, draw, solve, statement=_STATEMENTS[name], novel=novel, share=share)


_BIO = "{a} the {j} lives in {p} and {v} a {c} {o}."
_BIO2 = "In {p} lives a {j}, {a}, who {v} a {c} {o}."
_BIO3 = "{a} {v} a {c} {o}, lives in {p} and is a {j}."
_GIFT = "In the {p} {a} gives {b} the {s} {o} of {d}."
_GIFT2 = "{a} took the {s} {o} of {d} to the {p} for {b}."


def _asked(facts: tuple[str, ...], *questions: str) -> tuple[str, ...]:
    return tuple(f"{fact} {question}" for fact in facts for question in questions)


SKILLS = (
    _story(
        "story_more",
        _draw_more,
        _more(1),
        "{a} has {n} {c} {o} in the {p} and finds {m} more at the {q}. How many {o} has {a}?",
        "{a} had {n} {c} {o} at the {p}, then bought {m} from the {q}. How many now?",
        "From the {p} {a} brings {n} {c} {o} and from the {q} {m} more. Count the {o}.",
        "There are {n} {c} {o} in the {p} and {m} in the {q}. How many {o} does {a} see?",
        "{n} {c} {o} lie in the {p}. {a} adds {m} from the {q}. What is the total?",
        "{a} takes {n} {c} {o} to the {p} and {m} to the {q}. How many in all?",
        novel=2.5,
        share=2.0,
    ),
    _story(
        "story_less",
        _draw_less,
        _more(-1),
        "{a} has {n} {c} {o} in the {p} and loses {m} at the {q}. How many {o} has {a} left?",
        "{a} had {n} {c} {o} at the {p}, then sold {m} in the {q}. How many remain?",
        "Of {n} {c} {o} from the {p} {a} gives away {m} near the {q}. How many are left?",
        "{a} took {n} {c} {o} out of the {p} but broke {m} by the {q}. How many still whole?",
        "There were {n} {c} {o} in the {p}. {a} moved {m} to the {q}. How many stay?",
        "{n} {c} {o} lie in the {p}. {a} brings {m} of them to the {q}. What remains?",
        novel=2.5,
        share=2.5,
    ),
    _story(
        "who_lives",
        _draw_person,
        _person("p"),
        *_asked((_BIO, _BIO2, _BIO3), "Where does {a} live?", "Which city is it?"),
    ),
    _story(
        "who_job", _draw_person, _person("j"), *_asked((_BIO, _BIO2, _BIO3), "What is the job?", "What does {a} do?")
    ),
    _story(
        "who_colour",
        _draw_person,
        _person("c"),
        *_asked((_BIO, _BIO2, _BIO3), "Which colour is the {o}?", "Name the colour."),
    ),
    _story(
        "who_thing", _draw_person, _person("o"), *_asked((_BIO, _BIO2, _BIO3), "Which thing is {c}?", "What {v} {a}?")
    ),
    _story(
        "who_name", _draw_person, _person("a"), *_asked((_BIO, _BIO2, _BIO3), "Who {v} the {o}?", "Tell me the name.")
    ),
    _story(
        "who_more",
        _draw_pair,
        _richer(1),
        "{a} has {n} {o} and {b} has {m} {o} in the {p}. Who has more?",
        "In the {p} {a} counts {n} {o}, {b} counts {m}. Who counted more?",
        "{a} bought {n} {o} at the {p}, {b} bought {m}. Who bought the most?",
        "At the {p} {a} sees {n} {o} but {b} sees {m}. Who sees more?",
        "{n} {o} for {a}, {m} for {b} from the {p}. Who gets more?",
        "{a} took {n} {o} from the {p} and {b} took {m}. Who holds more?",
        share=2.5,
    ),
    _story(
        "who_less",
        _draw_pair,
        _richer(-1),
        "{a} has {n} {o} and {b} has {m} {o} in the {p}. Who has less?",
        "In the {p} {a} counts {n} {o}, {b} counts {m}. Who counted fewer?",
        "{a} bought {n} {o} at the {p}, {b} bought {m}. Who bought the least?",
        "At the {p} {a} sees {n} {o} but {b} sees {m}. Who sees fewer?",
        "{n} {o} for {a}, {m} for {b} from the {p}. Who gets less?",
        "{a} took {n} {o} from the {p} and {b} took {m}. Who holds less?",
        share=2.5,
    ),
    _story(
        "where_is",
        _draw_spots,
        _spot,
        "The {a} is {x} and the {b} is {xx}. Where is the {q}?",
        "A {a} stands {x}, a {b} {xx}. Where to find the {q}?",
        "Put the {a} {x} and the {b} {xx}. Now where is the {q}?",
        "I left the {a} {x} but the {b} {xx}. Find the {q}.",
        "My {a} lies {x}, your {b} lies {xx}. Which place has the {q}?",
        "Someone saw a {a} {x} and a {b} {xx}. Say where the {q} was.",
        share=2.5,
    ),
    _story(
        "gift_to", _draw_gift, _gift("b"), *_asked((_GIFT, _GIFT2), "Who gets the {o}?", "Who has it now?", "For whom?")
    ),
    _story(
        "gift_from",
        _draw_gift,
        _gift("d"),
        *_asked((_GIFT, _GIFT2), "Whose {o} is it?", "Who owned the {o}?", "To whom did it belong?"),
    ),
    _story(
        "gift_where",
        _draw_gift,
        _gift("p"),
        *_asked((_GIFT, _GIFT2), "Where did it happen?", "Name the place.", "At which place?"),
    ),
    _story(
        "most_of_three",
        _draw_tall,
        _tall,
        "{a} is {w} than {b} and {b} is {w} than {c}. Who is the {w} of all?",
        "{b} is {w} than {c} but {a} is {w} than {b}. Who is first?",
        "If {a} is {w} than {b} who is {w} than {c}, who wins?",
        "{c} is not {w} than {b}, and {b} not {w} than {a}. Who leads?",
        novel=1.5,
    ),
)
