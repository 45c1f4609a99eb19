"""A pipeline cut down to a few records, to see what each stage does before anything is paid or trained."""

from __future__ import annotations

from dataclasses import replace

from datagen.errors import ConfigError
from datagen.pipeline import Input, Node, Pipeline, entries


def preview(pipeline: Pipeline, n: int) -> Pipeline:
    """The same pipeline for ``n`` records: sources are cut short, generators asked for ``n``.

    Jobs are left out, and what needs the model of one or the rows of a stage that is left out. Raises ``ConfigError``
    where nothing remains.
    """
    nodes: dict[str, Node] = {}
    for node in pipeline.nodes:
        if node.stage.shape != "job" and all(name in nodes for name in _needs(node, pipeline)):
            nodes[node.name] = replace(node, arguments={**node.arguments, **_fewer(node, n)})
    if not nodes:
        raise ConfigError(f"{pipeline.name}: no stage makes rows without training first")
    return replace(pipeline, name=f"{pipeline.name}-preview", nodes=tuple(nodes.values()), sample_of=pipeline.name)


def _fewer(node: Node, n: int) -> dict[str, int]:
    fewer = {"limit": n} if node.stage.shape == "source" and "limit" in node.stage.parameters else {}
    if isinstance(count := node.arguments.get("count"), int):
        fewer["count"] = min(count, n)
    return fewer


def _needs(node: Node, pipeline: Pipeline) -> list[str]:
    """The stages of the pipeline that a stage takes rows or a model from."""
    named = [one for given in node.given("named_rows").values() for one in given.values()]
    rows = [one.stage for one in (*node.inputs, *node.given("rows").values(), *named) if isinstance(one, Input)]
    asked = [entry.arguments.get("model") for entry in entries(node, pipeline.llms)]
    models = [*node.given("model").values(), *asked]
    return [*rows, *(name for name in models if pipeline.node(str(name)) is not None)]
