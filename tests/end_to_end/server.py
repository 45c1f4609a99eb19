"""An OpenAI-compatible server in a thread, which answers a request always alike, and counts how often each came."""

from __future__ import annotations

import asyncio
import hashlib
import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from aiohttp import web

Plan = Callable[[int, str], "web.StreamResponse | str | None"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Server:
    """``plan`` maps a request's number and its prompt to a response, a reply's text or ``hang``; None: an answer."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()
        self.asked: dict[str, bytes] = {}
        """The request that a reply's text answers."""
        self.starts = 0
        self.latency_s = 0.0
        self.plan: Plan = lambda number, prompt: None
        self.certificate: ssl.SSLContext | None = None
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self._port}/v1"

    @property
    def repeated(self) -> int:
        """Requests that came more than once: calls that were paid for again."""
        return self.seen.total() - len(self.seen)

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._do(self._start())

    def stop(self) -> None:
        """Hang up on everyone; nothing listens any more."""
        self._do(self._stop())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def leave(self, back_after_s: float | None = None) -> None:
        """To be called by a plan: hang up on everyone as soon as its request is answered, and come back or not."""

        async def away() -> None:
            await self._stop()
            if back_after_s is not None:
                await asyncio.sleep(back_after_s)
                await self._start()

        self._leaving = self._loop.create_task(away())

    async def _start(self) -> None:
        self.starts += 1
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        certificate = {"ssl_context": self.certificate}
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True, **certificate).start()
        self._port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        number = self.seen.total()
        self.seen[body] += 1
        prompt = orjson.loads(body)["messages"][-1]["content"]
        planned = self.plan(number, prompt)
        if planned == "hang":
            await asyncio.sleep(60)
        await asyncio.sleep(self.latency_s * (0.5 + number % 3))
        if isinstance(planned, web.StreamResponse):
            return planned
        text = planned if planned is not None else answer(prompt, body)
        self.asked[text] = body
        return web.json_response(completion(text))


def completion(text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": len(text.split())}}


def answer(prompt: str, body: bytes) -> str:
    """What the prompts of the generators and of grade ask for, decided by the request's hash alone; no two alike."""
    rng = random.Random(hashlib.sha256(body).digest())
    words = [" ".join("".join(rng.choices(LETTERS, k=5)) for _ in range(6)) for _ in range(8)]
    if "score" in prompt:
        return f"{rng.choice((2, 3, 4, 4.5, 5))}\n{words[0]}"
    if "Classification?" in prompt or "Compare two tasks" in prompt:
        return f"{'No' if 'Compare' in prompt else rng.choice(('Yes', 'No'))}, {words[0]}"
    if "Class label:" in prompt:
        return f"Class label: {words[0]}\nInput: {words[1]}"
    if "collection of twenty" in prompt:
        tasks = (
            f"{n}. Instruction: {text}\n{n}. Input:\n<noinput>\n{n}. Output:\nx" for n, text in enumerate(words, 4)
        )
        return "\n###\n".join(tasks)
    if "<topic>" in prompt:
        return "\n".join(f"[Human] {text}\n[AI] {text}" for text in words)
    if any(tag in prompt for tag in ("<conversation>", "<given_task>", "<text>", "<answer>")):
        return words[0]
    if "Task:" in prompt:
        return f"Input: {words[0]}\nOutput: {words[1]}"
    return "\n".join(f"{number}. {text}" for number in range(1, 20) for text in words[number % 8 : number % 8 + 1])
