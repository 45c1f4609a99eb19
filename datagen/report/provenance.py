"""What a run was made of, for its data card: sources, models, prompts and papers of the stages above one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen import assets, config
from datagen.document import read
from datagen.errors import ConfigError
from datagen.keys import prompts_of
from datagen.pipeline import Node, Pipeline, entries
from datagen.plugins import load_stage
from datagen.store import Result

_PAPER = re.compile(r"arXiv:? ?(\d{4}\.\d{4,5})")
_OWN_LICENCE = "apache-2.0"


@dataclass(frozen=True)
class Provenance:
    """``pipeline`` is None, and ``problem`` says why, where the saved file does not check out any more."""

    name: str
    document: dict[str, Any]
    pipeline: Pipeline | None
    problem: str = ""

    @staticmethod
    def of(pipeline: Pipeline) -> Provenance:
        """Of a pipeline that has just run."""
        return Provenance(pipeline.name, pipeline.resolved, pipeline)

    @staticmethod
    def saved(folder: Path) -> Provenance:
        """Of a run on disk."""
        document = read(folder / "pipeline.yaml")
        name = str(document.get("name") or folder.name)
        try:
            return Provenance(name, document, config.load(folder / "pipeline.yaml"))
        except ConfigError as error:
            return Provenance(name, document, None, f"the pipeline does not check out any more: {error}")

    @property
    def licences(self) -> dict[str, str]:
        """By source, as the pipeline names them; what ships with the package is under the package's."""
        found = {}
        for name, stage in self._raw().items():
            if licence := stage.get("licence"):
                found[name] = str(licence)
            elif (path := assets.find(self.path(name))) and assets.folder("seeds") in path.resolve().parents:
                found[name] = _OWN_LICENCE
        return found

    def path(self, source: str) -> str:
        """The file of a source, as the pipeline has it; empty where it has none."""
        node = self.pipeline.node(source) if self.pipeline else None
        return str(self._raw().get(source, {}).get("path") or (node.arguments.get("path") if node else "") or "")

    def stages_of(self, stage: str, results: Mapping[str, Result]) -> list[str]:
        """The stage and all that its rows came through, in order."""
        found, waiting = {stage}, [stage]
        while waiting:
            above = {name.partition(".")[0] for name in results[waiting.pop()].inputs} - found
            found |= above
            waiting.extend(above)
        return [name for name in results if name in found]

    def models(self, stages: Collection[str]) -> list[tuple[str, str, list[str]]]:
        """Each model, its back end, and the stages that asked it."""
        found: dict[tuple[str, str], list[str]] = {}
        for node in self._nodes(stages):
            assert self.pipeline is not None
            for entry in entries(node, self.pipeline.llms):
                model = str(entry.arguments.get("model") or entry.name)
                shown = Path(model).name if Path(model).is_absolute() else model
                found.setdefault((shown, entry.use), []).append(node.name)
        return [(*model, names) for model, names in found.items()]

    def paper(self, place: str, digest: str) -> str:
        """What the header of a prompt file says it is after; empty where the file has changed since."""
        if self.pipeline is None:
            return ""
        asked = (prompt for node in self.pipeline.nodes for prompt in prompts_of(node, self.pipeline.llms))
        return next((one.paper for one in asked if (one.place, one.digest) == (place, digest)), "")

    def papers(self, stages: Mapping[str, Result]) -> dict[str, list[str]]:
        """arXiv ids that the stages and their prompts name, with who names them."""
        found: dict[str, list[str]] = {}
        for result in stages.values():
            texts = [_about(result.use), *(self.paper(place, digest) for place, digest in result.prompts.items())]
            for paper in dict.fromkeys(_PAPER.findall(" ".join(texts))):
                found.setdefault(paper, []).append(result.use)
        return {paper: list(dict.fromkeys(uses)) for paper, uses in found.items()}

    def _nodes(self, stages: Collection[str]) -> list[Node]:
        return [node for node in self.pipeline.nodes if node.name in stages] if self.pipeline else []

    def _raw(self) -> dict[str, dict[str, Any]]:
        """The stages as the file has them, those of groups by their name within the group."""
        found: dict[str, dict[str, Any]] = {}
        for name, raw in self.document["stages"].items():
            found.update(raw["stages"] if "repeat" in raw else {name: raw})
        return found


def _about(use: str) -> str:
    try:
        return load_stage(use).about
    except ConfigError:  # of a package that is not installed any more
        return ""
