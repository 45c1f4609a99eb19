"""Any OpenAI-compatible server: vLLM, OpenAI, Ollama, llama.cpp, SGLang, TGI.

Each request has its own retries: exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS
2015), or ``Retry-After`` and up to a tenth more. A request that waits for its next try holds no slot, so a limited or
slow one stops no other; where most are refused, all go more slowly (``pace.Throttle``). What no retry can mend stops
the run in one line, and so does a server that is gone and stays away, or whose gateway answers 502 and 503 to everyone:
the same command goes on when it is back. The key comes from the environment and goes nowhere but into the request's
header.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import aiohttp
import msgspec

from datagen.errors import ConfigError, LLMError, ServerGone
from datagen.llm.base import Reply, Sampling
from datagen.llm.chat_completions import failure_reason, is_passing, parse_error, retry_after_s
from datagen.llm.endpoint import Api, Endpoint, check_address, check_environment, check_limits, endpoint
from datagen.llm.pace import Pace, Slots, Throttle
from datagen.record import Message

logger = logging.getLogger("datagen")
_BASE_DELAY_S = 0.25
_MAX_DELAY_S = 60.0
_CONNECT_TIMEOUT_S = 30.0
_FIRST_CONTACT_TRIES = 4
_OUTAGE_TRIES = 17  # about five minutes: long enough to start a server again
_TIMEOUT_TRIES = 3  # each is as long as timeout_s
_GATEWAY = {"http_502", "http_503"}  # what stands before a server that is starting, or gone


class _Failure(msgspec.Struct):
    """One try that may be repeated: why it failed, and how long the server asked us to wait."""

    reason: str
    message: str
    retry_after_s: float = 0.0
    raw: str = ""
    gone: bool = False
    """Nothing listens at the address."""


class OpenAI:
    """The object behind ``openai``."""

    def __init__(
        self, endpoint: Endpoint, pace: Pace, *, concurrency: int, timeout_s: float, max_attempts: int
    ) -> None:
        self.model = endpoint.model
        self.concurrency = concurrency
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts
        self._jitter = random.Random()
        self._pace = pace
        self._tickets = count()
        self._throttle = Throttle(concurrency)
        self._asking = 0
        self._successes = 0
        self._reached = False
        self._away = False
        """Given up as gone: until it answers again, one try is enough."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._slots = Slots(concurrency)

    @property
    def identity(self) -> dict[str, Any]:
        """Address, model and extra body fields."""
        return self._endpoint.identity

    async def chat(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> Reply:
        """One reply, after as many tries as it takes.

        Raises:
            ConfigError: what no retry can mend: no server, wrong key, wrong model.
            LLMError: ``context_length``, ``http_<status>``, ``timeout``, ``connection`` or ``bad_response``.
            ServerGone: it went away and does not come back.
        """
        self._asking += 1
        try:
            return await self._answer(self._endpoint.body(messages, sampling), sampling)
        finally:
            self._asking -= 1

    async def _answer(self, body: bytes, sampling: Sampling) -> Reply:
        expected = len(body) // 4 + (sampling.max_tokens or 0)
        ticket = next(self._tickets)
        attempt = tries = 0
        before, failed_at = self._successes, -1  # replies so far: at the last try, and when this request last failed
        while True:
            tries += 1
            self._open()
            result = await self._try(body, tries, ticket, expected)
            if isinstance(result, Reply):
                return result
            # A rate limit that lets others through is slow, not hopeless: the count starts again, within reason.
            moving = result.reason == "http_429" and self._successes > before
            attempt = 0 if moving and tries < 20 * self._max_attempts else attempt + 1
            if result.reason in _GATEWAY and self._successes == failed_at and self._asking > 1:
                result.gone = True  # nobody is answered; one request alone may be one that its server breaks on
            before = failed_at = self._successes
            self._give_up_if_hopeless(result, attempt, tries)
            await asyncio.sleep(self._delay_s(result, attempt))

    def _delay_s(self, failure: _Failure, attempt: int) -> float:
        """Exponential backoff with full jitter, or what the server asked for and up to a tenth more.

        A refusal that names no time waits longer, so that ``max_attempts`` outlast a limit per minute.
        """
        if failure.retry_after_s:
            return failure.retry_after_s * self._jitter.uniform(1.0, 1.1)
        delay = _BASE_DELAY_S * 2.0 ** max(0, min(attempt - 1, 10))
        if failure.reason == "http_429":
            return self._jitter.uniform(0.5, 1.0) * min(_MAX_DELAY_S, 4 * delay)
        return self._jitter.uniform(0.0, min(_MAX_DELAY_S, delay))

    async def close(self) -> None:
        """Wait for the replies that are on their way, which are paid for; then close the connections."""
        if self._session is not None:
            try:
                if self._loop is asyncio.get_running_loop():
                    await self._drain()
            finally:  # a second Ctrl-C ends the waiting
                await self._session.close()
                self._session = None

    async def _drain(self) -> None:
        drained = asyncio.ensure_future(self._slots.drain())
        try:
            await asyncio.wait([drained], timeout=1)
            if not drained.done():
                logger.warning("waiting for %d calls in flight; Ctrl-C again stops at once", self._slots.taken)
            await drained
        finally:
            drained.cancel()

    def _open(self) -> None:
        """Open session and slots on the running event loop (a notebook may start several, one after the other)."""
        loop = asyncio.get_running_loop()
        if self._session is not None and self._loop is loop:
            return
        self._loop, self._slots = loop, Slots(self.concurrency)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity", **self._endpoint.headers},
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=_CONNECT_TIMEOUT_S),
            skip_auto_headers=("User-Agent",),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._endpoint.proxy(),
        )

    async def _try(self, body: bytes, tries: int, ticket: int, expected: int) -> Reply | _Failure:
        slots = self._slots
        await slots.take(ticket)
        try:
            with slots.unsent():
                await self._throttle.wait()
                await self._pace.wait(expected)
            result = await self._post(body, tries)
            self._note(result)
        finally:
            slots.give()
        usage = result.usage if isinstance(result, Reply) else None
        self._pace.correct(expected, usage.prompt_tokens + usage.completion_tokens if usage else 0)
        return result

    def _note(self, result: Reply | _Failure) -> None:
        if isinstance(result, Reply):
            self._successes += 1
            self._throttle.replied()
        elif result.reason == "http_429":
            self._throttle.refused(max(result.retry_after_s, _BASE_DELAY_S))

    async def _post(self, body: bytes, tries: int) -> Reply | _Failure:
        assert self._session is not None, "chat() opens it"
        try:
            async with self._session.post(self._endpoint.url, data=body) as response:
                data = await response.read()
                self._reached, self._away = True, False
                if response.status == 200:
                    return self._reply(data)
                return self._refused(response.status, response.headers, data, tries)
        except aiohttp.ClientSSLError as error:
            hint = "write http:// where it speaks no TLS; SSL_CERT_FILE names a file with a certificate of your own"
            raise ConfigError(f"{self._endpoint.base_url}: no TLS connection: {error}; {hint}") from error
        except aiohttp.InvalidURL as error:
            raise ConfigError(f"base_url {self._endpoint.base_url}: not a URL") from error
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            return _Failure("connection", str(error), gone=True)
        except TimeoutError:
            return _Failure("timeout", f"no reply within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return _Failure("connection", str(error) or type(error).__name__)

    def _reply(self, data: bytes) -> Reply | _Failure:
        try:
            return self._endpoint.parse(data)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            message = f"not a completion ({error}): {data[:100]!r}"
            return _Failure("bad_response", message, raw=self._endpoint.raw(data))

    def _refused(self, status: int, headers: Mapping[str, str], data: bytes, tries: int) -> _Failure:
        """The failure behind a status that is worth another try. Raises for those that are not."""
        code, text = parse_error(data)
        text = self._endpoint.redact(text)
        if code == "insufficient_quota":
            raise ConfigError(f"{self._endpoint.base_url}: {text}")
        if is_passing(status):
            return _Failure(f"http_{status}", text, retry_after_s(headers), self._endpoint.raw(data))
        if status in (401, 402, 403, 404, 405):
            raise self._endpoint.misconfigured(status, text, self._endpoint.url)
        raise LLMError(failure_reason(status, code, text), text, attempts=tries, raw=self._endpoint.raw(data))

    def _give_up_if_hopeless(self, failure: _Failure, attempt: int, tries: int) -> None:
        url, message = self._endpoint.base_url, self._endpoint.redact(failure.message)
        if attempt >= min(self._max_attempts, _FIRST_CONTACT_TRIES):
            if failure.reason == "connection" and not self._reached:
                raise ConfigError(f"no server at {url} ({message}); start it, or mend base_url")
            if failure.reason == "bad_response" and not self._successes:
                raise ConfigError(f"{self._endpoint.url}: {message}; is base_url an OpenAI-compatible API?")
        if failure.reason == "timeout" and not self._reached and attempt >= min(self._max_attempts, _TIMEOUT_TRIES):
            raise ConfigError(f"{url}: {message}, {tries} times; is it stuck? Start it again, or raise timeout_s")
        if failure.gone:
            if self._away or attempt >= max(self._max_attempts, _OUTAGE_TRIES):
                self._away = True
                raise ServerGone(f"the server at {url} is gone ({message}); start it and run the same command again")
        elif attempt >= (
            min(self._max_attempts, _TIMEOUT_TRIES) if failure.reason == "timeout" else self._max_attempts
        ):
            raise LLMError(failure.reason, message, attempts=tries, raw=failure.raw)


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a malformed URL, or a secret that stands in the file."""
    check_address(arguments["base_url"], arguments["headers"] or {})


def ready(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a key that is not in the environment."""
    check_environment(arguments)


def openai(
    *,
    model: str,
    base_url: str = "https://api.openai.com/v1",
    api: Api = "chat",
    api_key_env: str = "OPENAI_API_KEY",
    concurrency: int = 64,
    timeout_s: float = 600.0,
    max_attempts: int = 8,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    headers: dict[str, str] | None = None,
    extra_body: dict[str, Any] | None = None,
) -> OpenAI:
    """A model behind an OpenAI-compatible server.

    ``api: completions`` sends the messages' bare texts, for base models. The limits per minute are a provider's;
    without them ``concurrency`` alone bounds the requests. A value under ``headers`` that begins with ``$`` names an
    environment variable. ``extra_body`` is added to every request; a prompt's or stage's ``sampling.extra`` wins over
    it, and a field that is null is left out (``seed: null`` for a server that takes none).

    Raises:
        ConfigError: a malformed URL, a limit below 1, a key in the file, or one that is not in the environment.
    """
    check_limits(
        concurrency=concurrency,
        max_attempts=max_attempts,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    return OpenAI(
        endpoint(base_url, model, api, api_key_env, headers or {}, extra_body or {}),
        Pace(requests_per_minute, tokens_per_minute),
        concurrency=concurrency,
        timeout_s=timeout_s,
        max_attempts=max_attempts,
    )
