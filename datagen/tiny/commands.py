"""The roles' commands: the tiny prompt pack ships the first wording of each, and the teacher is trained on ten.

The last is never trained and shows what an unseen wording costs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from datagen import prompts
from datagen.record import Message

TRAINED = 10
COMMANDS: dict[str, tuple[str, ...]] = {
    "self_instruct/tasks": (
        "Write more tasks like these.",
        "Continue this list of tasks.",
        "Here are some tasks, add new ones.",
        "Come up with more tasks.",
        "Make new tasks and number them.",
        "Give me other tasks of this sort.",
        "Write some new tasks in this style.",
        "What could the next tasks be?",
        "Add to these tasks.",
        "Think of further tasks and list them.",
        "Extend the list below.",
    ),
    "self_instruct/instances": (
        "Write an example for this task.",
        "Give an example of this task.",
        "Show input and output for this task.",
        "Make one instance of the task.",
        "Complete this task with an example.",
        "Write input and output.",
        "Write a sample for this task.",
        "Fill in this task.",
        "What could its input and output be?",
        "Do this task with an input of your own.",
        "Produce an example here.",
    ),
    "grade/accuracy": (
        "Grade your answer from 0 to 5.",
        "Rate your answer from 0 to 5.",
        "Score the answer between 0 and 5.",
        "How good was that? Give 0 to 5.",
        "Check your answer and grade it.",
        "Give a grade from 0 to 5.",
        "Grade the answer above, 0 to 5.",
        "From 0 to 5, how right is this answer?",
        "Now judge your answer with 0 to 5.",
        "Give your answer a score, 5 is best.",
        "Mark your answer, 0 is bad and 5 is good.",
    ),
    "evol_instruct/add_constraints": (
        "Add a rule to this task.",
        "Add one constraint to the task.",
        "Give this task one more rule.",
        "Rewrite the task with a new rule.",
        "Make it harder by a rule.",
        "Put a condition on this task.",
        "Write this task with an added rule.",
        "Now the task needs one more constraint.",
        "Append a rule to the task.",
        "Ask for the same with a rule.",
        "Extend this task by a rule.",
    ),
    "evol_instruct/deepen": (
        "Make this task longer.",
        "Add a second step to the task.",
        "Give this task another part.",
        "Rewrite the task with two steps.",
        "Deepen this task.",
        "Let a second task follow.",
        "Add another step to this task.",
        "Write the task so that it has two parts.",
        "Append a second task to it.",
        "Now the task needs one more step.",
        "Extend this task by a step.",
    ),
    "evol_instruct/breadth": (
        "Write another task of the same kind.",
        "Make a different task like this one.",
        "Give a new task in this field.",
        "Write a new task inspired by this.",
        "Create one more task of that sort.",
        "Change this into a new task.",
        "Write a new task like this one.",
        "Think of a similar task.",
        "Ask for something else of this kind.",
        "Give one more task in this area.",
        "Find a fresh task close to this.",
    ),
    "translate/instruction": (
        "Translate this task into {language}.",
        "Write the task in {language}.",
        "Put this task into {language}.",
        "Give me the task in {language}.",
        "Turn the task into {language}.",
        "Say this task in {language}.",
        "How is this task said in {language}?",
        "Translate it to {language}.",
        "Write this in {language}, please.",
        "The same task in {language}.",
        "I need this task in {language}.",
    ),
    "self_chat/user": (
        "Write my next message.",
        "What do I say next?",
        "Play the user and go on.",
        "Continue as the user.",
        "Write the next user turn.",
        "Now be me and reply.",
        "Write the message that I send next.",
        "What is my next question?",
        "Go on as me.",
        "Add the next turn of the user.",
        "Guess my next line.",
    ),
}


@lru_cache
def _prompt(name: str) -> prompts.Prompt:
    return prompts.load(name, "tiny")


def ask(name: str, *, wording: int = 0, typed: Callable[[str], str] = str, **variables: Any) -> list[Message]:
    """The chat of a role's shipped prompt, its command in another wording, or ``typed`` with less care, if asked."""
    messages = _prompt(name).render(**variables)
    if name not in COMMANDS:
        return messages
    language = variables.get("language", "")
    shipped, other = (COMMANDS[name][index].format(language=language) for index in (0, wording))
    last = Message("user", messages[-1].content.replace(shipped, typed(other), 1))
    return [*messages[:-1], last]
