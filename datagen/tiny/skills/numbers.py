"""Small numbers: sums and differences up to twenty, order, even and odd, sequences."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

from datagen.tiny.skill import Args, Skill


def _two(rng: Random) -> Args:
    a, b = rng.sample(range(100), 2)
    return {"a": str(a), "b": str(b)}


def _sum(rng: Random) -> Args:
    a, b = rng.randint(1, 12), rng.randint(1, 9)
    return {"a": str(a), "b": str(b)}


def _difference(rng: Random) -> Args:
    a = rng.randint(2, 20)
    return {"a": str(a), "b": str(rng.randint(1, min(a, 9)))}


def _numbers(rng: Random) -> Args:
    return {"x": " ".join(str(n) for n in rng.sample(range(100), rng.randint(3, 5)))}


def _ints(*texts: str, most: int = 99) -> list[int] | None:
    numbers = " ".join(texts).replace(" and ", " ").split()
    if any(not n.isdecimal() or int(n) > most or (len(n) > 1 and n[0] == "0") for n in numbers):
        return None
    return [int(n) for n in numbers]


def _on_two(rule: Callable[[int, int], int | None], most: int = 99) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        numbers = _ints(args["a"], args["b"], most=most)
        result = rule(*numbers) if numbers and len(numbers) == 2 else None
        return None if result is None else str(result)

    return solve


def _on_list(rule: Callable[[list[int]], str]) -> Callable[[Args], str | None]:
    def solve(args: Args) -> str | None:
        numbers = _ints(args["x"])
        return rule(numbers) if numbers and 2 <= len(numbers) <= 8 else None

    return solve


def _sequence(rng: Random) -> Args:
    step, start = rng.choice((1, 2, 3, 5, 10)), rng.randint(0, 30)
    return {"x": " ".join(str(start + step * i) for i in range(rng.randint(3, 4)))}


def _next(args: Args) -> str | None:
    numbers = _ints(args["x"], most=200)
    if not numbers or len(numbers) < 3:
        return None
    steps = {b - a for a, b in pairwise(numbers)}
    return str(numbers[-1] + steps.pop()) if len(steps) == 1 and max(steps) > 0 else None


def _parity(args: Args) -> str | None:
    numbers = _ints(args["a"])
    return None if not numbers or len(numbers) != 1 else "odd" if numbers[0] % 2 else "even"


def _number_skill(
    name: str,
    draw: Callable[[Random], Args],
    solve: Callable[[Args], str | None],
    statement: str,
    *wordings: str,
    novel: float = 1.0,
    share: float = 1.0,
    halved: bool = False,
    foreign: dict[str, str] | None = None,
) -> Skill:
    return Skill(
        name,
        "numbers",
        wordings,
        draw,
        solve,
        statement=statement,
        novel=novel,
        share=share,
        halved=halved,
        foreign=foreign or {},
    )


SKILLS = (
    _number_skill(
        "add",
        _sum,
        _on_two(lambda a, b: a + b, 20),
        "{a} plus {b} is {answer}.",
        "What is {a} plus {b}?",
        "Add {a} and {b} together.",
        "Give the sum of {a} and {b}.",
        "Calculate {a} + {b} for me.",
        "How much is {a} and {b} more?",
        "Put {a} and {b} together, how many?",
        share=2.0,
        halved=True,
        novel=0.4,
        foreign={
            "French": "Combien font {a} plus {b}?",
            "Spanish": "Cuanto es {a} mas {b}?",
            "Italian": "Quanto fa {a} piu {b}?",
        },
    ),
    _number_skill(
        "subtract",
        _difference,
        _on_two(lambda a, b: a - b if a >= b else None, 20),
        "{a} minus {b} is {answer}.",
        "What is {a} minus {b}?",
        "Take {b} away from {a}.",
        "Subtract {b} from {a} now.",
        "Calculate {a} - {b} for me.",
        "How much is {a} less {b}?",
        "What remains of {a} without {b}?",
        share=2.0,
        halved=True,
        novel=0.4,
        foreign={
            "French": "Combien font {a} moins {b}?",
            "Spanish": "Cuanto es {a} menos {b}?",
            "Italian": "Quanto fa {a} meno {b}?",
        },
    ),
    _number_skill(
        "bigger",
        _two,
        _on_two(lambda a, b: max(a, b) if a != b else None),
        "of {a} and {b} the bigger is {answer}.",
        "Which is bigger, {a} or {b}?",
        "Give the bigger of {a} and {b}.",
        "What is more, {a} or {b}?",
        "Name the larger number: {a} or {b}",
        "Which number is greater, {a} or {b}?",
        "The higher one of {a} and {b}?",
        novel=0.4,
    ),
    _number_skill(
        "parity",
        lambda rng: {"a": str(rng.randrange(100))},
        _parity,
        "{a} is {answer}.",
        "Is {a} even or odd?",
        "Even or odd: {a}",
        "Tell me whether {a} is even or odd.",
        "Say odd or even for {a}.",
        "Is the number {a} odd or even?",
        "Even or odd number?\n{a}",
        novel=0.3,
    ),
    _number_skill(
        "largest",
        _numbers,
        _on_list(lambda n: str(max(n))),
        "the largest of {x} is {answer}.",
        "What is the largest number in {x}?",
        "Give the maximum of {x}.",
        "Which of {x} is the biggest?",
        "Find the highest number: {x}",
        "Pick the greatest from {x}.",
        "Name the largest number.\n{x}",
        novel=2.0,
        foreign={
            "French": "Le plus grand nombre de {x}?",
            "Spanish": "El mayor numero de {x}?",
            "Italian": "Il numero maggiore di {x}?",
        },
    ),
    _number_skill(
        "smallest",
        _numbers,
        _on_list(lambda n: str(min(n))),
        "the smallest of {x} is {answer}.",
        "What is the smallest number in {x}?",
        "Give the minimum of {x}.",
        "Which of {x} is the least?",
        "Find the lowest number: {x}",
        "Pick the tiniest from {x}.",
        "Name the smallest number.\n{x}",
        share=1.5,
        novel=2.0,
        foreign={
            "French": "Le plus petit nombre de {x}?",
            "Spanish": "El menor numero de {x}?",
            "Italian": "Il numero minore di {x}?",
        },
    ),
    _number_skill(
        "next_number",
        _sequence,
        _next,
        "after {x} comes {answer}.",
        "Which number comes next: {x}",
        "Continue the row {x}.",
        "What follows in the sequence {x}?",
        "Give the next number: {x}",
        "How does {x} go on?",
        "Find what comes after {x} in this row.",
        share=3.0,
        novel=1.5,
    ),
)
