"""What a stage may ask for, by annotation; the runner resolves each from the pipeline file.

| annotation      | in the file                                        | what the stage gets                         |
|-----------------|----------------------------------------------------|---------------------------------------------|
| `LLM`           | a name under `llms`, or a stage that trains        | an open LLM (`datagen.llm.client.LLM`)      |
| `PromptName`    | a prompt's name, or a path to a `.j2` file         | the name; the LLM's own pack may overlay it |
| `ModelName`     | `tiny-base`, a path, a hub name, a training stage  | a path or hub name                          |
| `FunctionName`  | `module:function`, such as an oracle's             | the name; the module's code is in the key   |
| `Rows`          | a stage's name, `stage.part`, or a path to a file  | rows that can be iterated again and again   |
| `NamedRows`     | one of these, a list, or a mapping of names to it  | rows by name; see `References.named_rows`   |
| `Path`          | a path to an existing file                         | the path; its bytes are part of the key     |
| `random.Random` | (not written)                                      | a generator of the stage's, or record's own |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NewType, Protocol

from datagen.record import Record

PromptName = NewType("PromptName", str)
ModelName = NewType("ModelName", str)
FunctionName = NewType("FunctionName", str)


class Rows(Protocol):
    """Records on disk: iterate as often as needed, nothing is held in memory."""

    def __iter__(self) -> Iterator[Record]: ...

    def __len__(self) -> int: ...


NamedRows = Mapping[str, Rows]
