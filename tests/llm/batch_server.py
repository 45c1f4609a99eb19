"""A server that speaks OpenAI's batch API, in the memory of the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from .conftest import completion

Bodies = dict[str, dict[str, Any]]


def good(custom_id: str, text: str) -> dict[str, Any]:
    return {
        "id": "r",
        "custom_id": custom_id,
        "response": {"status_code": 200, "body": completion(text)},
        "error": None,
    }


def refused(custom_id: str, status: int, message: str) -> dict[str, Any]:
    body = {"error": {"message": message, "code": None}}
    return {"id": "r", "custom_id": custom_id, "response": {"status_code": status, "body": body}, "error": None}


def expired(custom_id: str) -> dict[str, Any]:
    error = {"code": "batch_expired", "message": "could not be executed in time"}
    return {"id": "r", "custom_id": custom_id, "response": None, "error": error}


def answer(body: dict[str, Any]) -> str:
    return f"answer to {body['messages'][-1]['content']}"


def answer_all(requests: Bodies) -> dict[str, Any]:
    """How a batch ends where nothing goes wrong, its lines in the opposite order."""
    return {"output": [good(name, answer(body)) for name, body in reversed(requests.items())]}


class BatchServer:
    """``end`` maps a batch's number and its requests to how it ends.

    ``{"status": ..., "output": [...], "error": [...], "errors": [...]}``; lines are mappings or bytes. It ends at its
    ``polls``-th poll, and not while it is ``held``. ``plan`` maps a call's method and path to a response of its own;
    ``drop`` hangs up once the call is done.
    """

    def __init__(self) -> None:
        self.url = ""
        self.submitted: list[Bodies] = []
        self.calls: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.end: Callable[[int, Bodies], dict[str, Any]] = lambda number, requests: answer_all(requests)
        self.plan: Callable[[str, str], web.Response | str | None] = lambda method, path: None
        self.polls = 1
        self.held = False
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, dict[str, Any]] = {}
        self._polled: dict[str, int] = {}
        self._runner: web.AppRunner | None = None

    @property
    def questions(self) -> list[list[str]]:
        """What was asked, by batch."""
        return [[body["messages"][-1]["content"] for body in requests.values()] for requests in self.submitted]

    async def start(self) -> None:
        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/v1/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["path"]
        self.calls.append((request.method, path))
        self.headers.append(dict(request.headers))
        planned = self.plan(request.method, path)
        if isinstance(planned, web.Response):
            return web.Response(body=planned.body, status=planned.status, headers=planned.headers)
        found = await self._answer(request, path)
        if planned == "drop":
            assert request.transport is not None
            request.transport.abort()
        return found

    async def _answer(self, request: web.Request, path: str) -> web.Response:
        match (request.method, *path.strip("/").split("/")):
            case ("POST", "files"):
                form = await request.post()
                assert form["purpose"] == "batch"
                upload = form["file"]
                assert isinstance(upload, web.FileField)
                return web.json_response({"id": self._store(upload.file.read())})
            case ("POST", "batches"):
                return web.json_response(self._create(await request.json()))
            case ("GET", "batches"):
                return web.json_response(self._page(request.query))
            case ("GET", "batches", str(id)) if id in self._batches:
                return web.json_response(self._poll(id))
            case ("GET", "files", str(id), "content") if id in self._files:
                return web.Response(body=self._files[id])
        return web.json_response({"error": {"message": f"no {path} here"}}, status=404)

    def _store(self, data: bytes) -> str:
        self._files[f"file-{len(self._files)}"] = data
        return f"file-{len(self._files) - 1}"

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        lines = [orjson.loads(line) for line in self._files[asked["input_file_id"]].splitlines()]
        for line in lines:
            assert (line["method"], line["url"]) == ("POST", asked["endpoint"])
        assert asked["completion_window"] == "24h"
        requests = {line["custom_id"]: line["body"] for line in lines}
        assert len(requests) == len(lines), "a custom_id came twice"
        id = f"batch_{len(self.submitted)}"
        self.submitted.append(requests)
        self._batches[id] = {"id": id, "status": "validating", "created_at": 0, "metadata": asked["metadata"]}
        return self._batches[id]

    def _page(self, query: Any) -> dict[str, Any]:
        """One batch a page, newest first."""
        names = list(reversed(self._batches))
        at = names.index(query["after"]) + 1 if "after" in query else 0
        batch = {**self._batches[names[at]], "created_at": 10**12} if at < len(names) else None
        return {"data": [batch] if batch else [], "has_more": at + 1 < len(names)}

    def _poll(self, id: str) -> dict[str, Any]:
        batch = self._batches[id]
        self._polled[id] = self._polled.get(id, 0) + 1
        if self.held or self._polled[id] < self.polls:
            return {**batch, "status": "in_progress"}
        if batch["status"] == "validating":
            number = int(id.removeprefix("batch_"))
            end = self.end(number, self.submitted[number])
            batch |= {"status": end.get("status", "completed"), "errors": {"data": end.get("errors", [])}}
            for name in ("output", "error"):
                lines = [line if isinstance(line, bytes) else orjson.dumps(line) for line in end.get(name, [])]
                batch[f"{name}_file_id"] = self._store(b"\n".join(lines)) if lines else None
        return batch
