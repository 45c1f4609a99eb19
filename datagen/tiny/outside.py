"""Requests from outside the small world, which the teacher declines: hand-written ones and garbled ones of its own."""

from __future__ import annotations

import re
from random import Random

from datagen.tiny import lexicon as lx
from datagen.tiny import oracle
from datagen.tiny.world import draw

_FRAMES = """\
Write a poem about {t}.|Write a short story about {t}.|Explain {t} to a child.|What is {t}?
Why is {t} important?|How do I learn {t}?|Give me advice about {t}.|Write an essay on {t}.
Summarize the history of {t}.|Tell me a joke about {t}.|Create a plan for {t}.|Describe {t} in detail.
What are the benefits of {t}?|Write an email about {t} to my boss.|Generate a list of ideas for {t}.
Who invented {t}?|When did {t} begin?|How does {t} work?|Compare {t} and {u}.|What do you think about {t}?
Design a game based on {t}.|Suggest five books about {t}.|Write code for {t} in Python.
Can you help me with {t}?|Give three tips for {t}.|Is {t} good for my health?|Rewrite this text about {t}.
Classify the following as {t} or {u}.|What is the difference between {t} and {u}?
Find the error in this essay about {t}.|How much does {t} cost?|Who is the president of {t}?
Identify the main idea of {t}.|Make a recipe with {t}.|Write a dialogue between {t} and {u}.|Tell me about {t}.
Edit the paragraph about {t} for grammar.|Solve the equation of {t}.|What causes {t}?
Name a famous person in {t}.|Convert {t} into {u}.|Calculate the area of {t}.|Plan a trip to {t}."""
_TOPICS = """\
climate change|machine learning|the stock market|photosynthesis|football|quantum physics|healthy eating
Shakespeare|time management|space travel|democracy|the ocean|artificial intelligence|modern art|jazz|chess
a job interview|gardening|the human brain|renewable energy|yoga|world history|cryptocurrency|my holiday
a birthday party|databases|pollution|marketing|the French revolution|spring|love|friendship|loneliness|computers
the internet|medicine|electric cars|volcanoes|dinosaurs|meditation|public speaking|a triangle|economics
evolution|gravity|social media|remote work|cooking pasta|a wedding|tourism"""
# Never trained on: real requests, to see whether the decline carries over.
UNSEEN = (
    "Write a haiku about autumn leaves falling on a pond.",
    "Explain the difference between TCP and UDP.",
    "How can I improve my sleep?",
    "Write a Python function that checks for palindromes.",
    "Who won the World Cup in 1998?",
    "Draft a cover letter for a nurse.",
    "What is the boiling point of water in Fahrenheit?",
    "Recommend a good novel.",
    "Give me a recipe for pancakes.",
    "Summarise the plot of Hamlet in two sentences.",
    "Why do cats purr?",
    "Write an SQL query that counts users per country.",
    "What are some ways to reduce stress at work?",
    "Tell me about the life of Marie Curie.",
    "How far is the moon from the earth?",
    "What should I wear to an interview?",
    "Prove that the square root of two is irrational.",
    "Compose a limerick about a programmer.",
    "What is the meaning of life?",
    "How do vaccines protect us?",
    "List the planets by size.",
    "Write a slogan for a coffee shop.",
    "Can you fix this code for me?",
    "What happened in 1789?",
    "Explain inflation to a ten year old.",
    "Suggest names for a golden retriever.",
    "How do I tie a tie?",
    "Describe the taste of an orange.",
    "What is a black hole?",
    "Plan a weekend in Amsterdam.",
)
_SYLLABLES = tuple("ta ri mon vel ka dro sin pel ux ba lor mi fen gor zan tu wi esk pra ol".split())  # noqa: SIM905


def _flat(text: str) -> list[str]:
    return text.replace("\n", "|").split("|")


FRAMES, TOPICS = _flat(_FRAMES), _flat(_TOPICS)


def _request(rng: Random) -> str:
    topics = [rng.choice(TOPICS) if rng.random() < 0.7 else _invented(rng) for _ in range(2)]
    return rng.choice(FRAMES).format(t=topics[0], u=topics[1])


def _invented(rng: Random) -> str:
    words = ("".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(rng.randint(1, 3)))
    return " ".join(words)


def _swapped(rng: Random) -> str:
    """A task of the world with one of its words replaced by any other word of the world."""
    words = draw(rng, novel=rng.random() < 0.5, inputs=0).prompt.split(" ")
    place = rng.randrange(1, len(words))
    mark = re.search(r"[.,:?!]*$", words[place])
    other = rng.choice((*lx.OPPOSITE, *lx.THINGS, *lx.PLACES, *lx.PAST, *lx.LETTERS[:5], "of", "than", "the"))
    words[place] = other + (mark[0] if mark else "")
    return " ".join(words)


def garbled(rng: Random) -> str:
    """A task of the world that one wrong word has spoilt."""
    while True:
        text = _swapped(rng)
        if _outside(text):
            return text


def _outside(text: str) -> bool:
    return oracle.parse(text) is None and not oracle.needs_input(text)


def draw_outside(rng: Random) -> str:
    """An instruction that the world has no answer for."""
    while True:
        text = rng.choices((_request, _swapped), (5, 4))[0](rng)
        if _outside(text):
            return text
