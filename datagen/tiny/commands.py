"""The roles' commands: the tiny prompt pack ships the first wording of each, and the teacher is trained on six.

The seventh is never trained and shows what an unseen wording costs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from datagen import prompts
from datagen.record import Message

TRAINED = 6
COMMANDS: dict[str, tuple[str, ...]] = {
    "self_instruct/tasks": (
        "Write more tasks like these.",
        "Continue this list of tasks.",
        "Here are some tasks, add new ones.",
        "Come up with more tasks.",
        "Make new tasks and number them.",
        "Give me other tasks of this sort.",
        "Extend the list below.",
    ),
    "self_instruct/instances": (
        "Write an example for this task.",
        "Give an example of this task.",
        "Show input and output for this task.",
        "Make one instance of the task.",
        "Complete this task with an example.",
        "Write input and output.",
        "Produce an example here.",
    ),
    "grade/accuracy": (
        "Grade your answer from 0 to 5.",
        "Rate your answer from 0 to 5.",
        "Score the answer between 0 and 5.",
        "How good was that? Give 0 to 5.",
        "Check your answer and grade it.",
        "Give a grade from 0 to 5.",
        "Mark your answer, 0 is bad and 5 is good.",
    ),
    "evol_instruct/add_constraints": (
        "Add a rule to this task.",
        "Add one constraint to the task.",
        "Give this task one more rule.",
        "Rewrite the task with a new rule.",
        "Make it harder by a rule.",
        "Put a condition on this task.",
        "Extend this task by a rule.",
    ),
    "evol_instruct/deepen": (
        "Make this task longer.",
        "Add a second step to the task.",
        "Give this task another part.",
        "Rewrite the task with two steps.",
        "Deepen this task.",
        "Let a second task follow.",
        "Extend this task by a step.",
    ),
    "evol_instruct/breadth": (
        "Write another task of the same kind.",
        "Make a different task like this one.",
        "Give a new task in this field.",
        "Write a new task inspired by this.",
        "Create one more task of that sort.",
        "Change this into a new task.",
        "Find a fresh task close to this.",
    ),
    "translate/instruction": (
        "Translate this task into {language}.",
        "Write the task in {language}.",
        "Put this task into {language}.",
        "Give me the task in {language}.",
        "Turn the task into {language}.",
        "Say this task in {language}.",
        "I need this task in {language}.",
    ),
    "self_chat/user": (
        "Write my next message.",
        "What do I say next?",
        "Play the user and go on.",
        "Continue as the user.",
        "Write the next user turn.",
        "Now be me and reply.",
        "Guess my next line.",
    ),
}


@lru_cache
def _prompt(name: str) -> prompts.Prompt:
    return prompts.load(name, "tiny")


def ask(name: str, *, wording: int = 0, **variables: Any) -> list[Message]:
    """The chat of a role's shipped prompt, its command in another wording if asked."""
    messages = _prompt(name).render(**variables)
    if wording == 0 or name not in COMMANDS:
        return messages
    language = variables.get("language", "")
    shipped, other = (COMMANDS[name][index].format(language=language) for index in (0, wording))
    last = Message("user", messages[-1].content.replace(shipped, other, 1))
    return [*messages[:-1], last]
