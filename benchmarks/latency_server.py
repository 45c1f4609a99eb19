"""An OpenAI-compatible server with a known latency, for benchmarks of clients: a bare asyncio protocol.

Prompts end in a number; ``--slow-every 50`` makes each fiftieth of them ten times slower. Failures are drawn by chance.
``GET /stats`` says how many requests came, and how many different ones: the rest were paid for twice; and the mean
number that were in flight between the first and the last reply. ``--teacher`` replies as generators need it, after a
latency drawn between half of what is given and half more.

Run: python benchmarks/latency_server.py PORT --latency 0.2 [--slow-every 50] [--p429 0.1 --p500 0.1] [--teacher]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import time
from collections import Counter
from dataclasses import dataclass

import teacher_replies

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_NUMBER = re.compile(rb"(\d+)\D{0,12}\}\]")  # the last number of the last message
_STATUS = {200: b"200 OK", 429: b"429 Too Many Requests\r\nRetry-After: 1", 500: b"500 Internal Server Error"}
SLOWER = 10
SEEN: Counter[int] = Counter()


@dataclass
class Load:
    """Requests in flight, and their integral over time."""

    now: int = 0
    seconds: float = 0.0
    began: float = 0.0
    changed: float = 0.0

    def change(self, by: int) -> None:
        """One request more or less."""
        at = time.monotonic()
        self.began = self.began or at
        self.seconds += self.now * (at - (self.changed or at))
        self.changed = at
        self.now += by

    @property
    def mean(self) -> float:
        """From the first request to the last change."""
        return self.seconds / (self.changed - self.began) if self.changed > self.began else 0.0


LOAD = Load()


class Connection(asyncio.Protocol):
    def __init__(self, options: argparse.Namespace, rng: random.Random) -> None:
        self.options, self.rng, self.buffer = options, rng, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self.buffer, 0, end)
            length = int(found.group(1)) if found else 0
            if len(self.buffer) < end + 4 + length:
                return
            asks = self.buffer.startswith(b"POST")
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            if asks:
                self.answer(body)
            else:
                stats = {"requests": SEEN.total(), "different": len(SEEN), "in_flight": LOAD.mean, "now": LOAD.now}
                self.send(200, json.dumps(stats).encode())

    def answer(self, body: bytes) -> None:
        SEEN[hash(body)] += 1
        LOAD.change(1)
        draw = self.rng.random()
        if draw < self.options.p429:
            self.done(429, b'{"error": {"message": "slow down"}}')
        elif draw < self.options.p429 + self.options.p500:
            self.done(500, b'{"error": {"message": "boom"}}')
        elif self.options.teacher:
            prompt = json.loads(body)["messages"][-1]["content"]
            text = teacher_replies.reply(prompt, random.Random(body))
            latency = self.options.latency * self.rng.uniform(0.5, 1.5)
            asyncio.get_running_loop().call_later(latency, self.done, 200, completion(text))
        else:
            found = _NUMBER.search(body)
            number = int(found.group(1)) if found else 0
            slow = self.options.slow_every and number % self.options.slow_every == self.options.slow_every // 2
            latency = self.options.latency * (SLOWER if slow else 1)
            text = f"Reply to {number}. " + "A sentence of a reply. " * 20
            asyncio.get_running_loop().call_later(latency, self.done, 200, completion(text))

    def done(self, status: int, body: bytes) -> None:
        LOAD.change(-1)
        self.send(status, body)

    def send(self, status: int, body: bytes) -> None:
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % (_STATUS[status], len(body)) + body)


def completion(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 20, "completion_tokens": 100, "total_tokens": 120}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--slow-every", type=int, default=0)
    parser.add_argument("--p429", type=float, default=0.0)
    parser.add_argument("--p500", type=float, default=0.0)
    parser.add_argument("--teacher", action="store_true")
    options = parser.parse_args()
    rng = random.Random(0)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(options, rng), "127.0.0.1", options.port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
