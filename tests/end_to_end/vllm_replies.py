"""Asks the vllm back end in this process: a program for the Python that has vLLM. A plan in, replies out, as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import msgspec

from datagen.errors import LLMError
from datagen.llm.base import Backend, Sampling
from datagen.plugins import check_arguments, load_backend, open_backend, parameters
from datagen.record import Message


async def one(backend: Backend, request: dict[str, Any]) -> Any:
    messages = [Message("user", request["prompt"])]
    try:
        sampling = msgspec.convert(request["sampling"], Sampling)
        return msgspec.to_builtins(await backend.chat(messages, sampling, request.get("sample", 0)))
    except LLMError as error:
        return {"error": error.reason}


async def answered(plan: dict[str, Any]) -> dict[str, Any]:
    """The replies to each group of requests; those of a group are asked together, the groups one after the other."""
    backend = open_backend("vllm", check_arguments("vllm", parameters(load_backend("vllm")), plan["entry"]))
    replies = {}
    try:
        for name, group in plan["groups"].items():
            replies[name] = await asyncio.gather(*(one(backend, request) for request in group))
    finally:
        await backend.close()
    return replies


if __name__ == "__main__":
    json.dump(asyncio.run(answered(json.load(sys.stdin))), sys.stdout)
