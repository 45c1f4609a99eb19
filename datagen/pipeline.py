"""What a checked pipeline consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datagen.failures import OnFailure
from datagen.llm.budget import Limits, Price
from datagen.plugins import Stage


@dataclass(frozen=True)
class Entry:
    """One LLM entry: the back end, its checked arguments, its prompt pack and its sampling."""

    name: str
    use: str
    arguments: dict[str, Any]
    prompts: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    price: Price | None = None
    members: Mapping[str, float] = field(default_factory=dict)
    """Of a pool or fallback: the entries it stands for, with their weights. Such an entry has no back end."""


@dataclass(frozen=True)
class Input:
    """The rows of an earlier stage, or the part of them whose label ``split`` has that value."""

    stage: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.stage}.{self.part}" if self.part else self.stage


@dataclass(frozen=True)
class Node:
    """One stage of a pipeline with checked arguments; names of other stages are still names."""

    name: str
    stage: Stage
    inputs: tuple[Input, ...]
    arguments: dict[str, Any]
    on_failure: OnFailure = "drop"

    def given(self, *kinds: str) -> dict[str, Any]:
        """The arguments of these kinds that have a value."""
        return {
            name: self.arguments[name]
            for name, parameter in self.stage.parameters.items()
            if parameter.kind in kinds and self.arguments.get(name) is not None
        }


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline, in the order of its file; ``resolved`` is the file with all overrides."""

    name: str
    seed: int
    llms: dict[str, Entry]
    nodes: tuple[Node, ...]
    resolved: dict[str, Any]
    budget: Limits | None = None
    sample_of: str = ""
    """The pipeline that this one is cut down from: it spends that one's budget."""

    def node(self, name: str) -> Node | None:
        """The stage of that name."""
        return next((node for node in self.nodes if node.name == name), None)


def entries(node: Node, llms: Mapping[str, Entry]) -> list[Entry]:
    """The LLM entries that a stage asks, each once; the members of a pool or fallback in its place."""
    given = [llms[name] for name in node.given("llm").values()]
    names = [name for entry in given for name in (entry.members or (entry.name,))]
    return [llms[name] for name in dict.fromkeys(names)]


def packs(node: Node, llms: Mapping[str, Entry]) -> list[str]:
    """The prompt packs of the LLMs that a stage asks (the default pack where it asks none)."""
    return sorted({llms[name].prompts for name in node.given("llm").values()}) or [""]
