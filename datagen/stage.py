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

What a stream filter gives back may say more about it: ``EachAlone``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple, NewType, Protocol, TypeAlias

from datagen.record import Record

PromptName = NewType("PromptName", str)
ModelName = NewType("ModelName", str)
FunctionName = NewType("FunctionName", str)


class Rows(Protocol):
    """Records on disk: iterate as often as needed, nothing is held in memory."""

    def __iter__(self) -> Iterator[Record]: ...

    def __len__(self) -> int: ...


NamedRows = Mapping[str, Rows]


EachAlone: TypeAlias = Annotated[Iterator[Record], "each alone"]
"""The rows of a filter that judges each by itself: it yields every row, kept or dropped, before it takes the next.

So it may run in several processes at once, each with its own call of the function, and in one pass with its
neighbours.
"""


class Blocks(NamedTuple):
    """A source that is read a block at a time, in several processes: ``in_blocks(arguments)`` of its file gives this.

    ``blocks`` hold whatever can be pickled, ``read`` gives a block's records, wherever it is called, and ``ended`` gets
    the dropped ones of the whole source at the end.
    """

    blocks: Iterator[Any]
    read: Callable[[Any], list[Record]]
    ended: Callable[[Iterator[Record]], None] = lambda dropped: None
