"""OpenAI's batch API on the wire: a file up, a batch made of it, its state, its files down. Knows no requests.

What may pass (no connection, a limit, a server's error) is tried again with exponential backoff and full jitter, never
sooner than ``Retry-After``. A batch is made once: where no answer came, it is looked for before it is asked for again.
"""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, BinaryIO, TypeVar

import aiohttp
import msgspec

from datagen.errors import ConfigError, DatagenError, ServerGone, StageError
from datagen.llm.chat_completions import is_passing, parse_error, retry_after_s
from datagen.llm.endpoint import Endpoint

_BASE_DELAY_S = 0.5
_MAX_DELAY_S = 60.0
_CONNECT_TIMEOUT_S = 30.0
_FIRST_CONTACT_TRIES = 4
_OUTAGE_TRIES = 16  # about five minutes
_WINDOW = "24h"  # the only one there is
_CHUNK_BYTES = 2**20
_CLOCK_SKEW_S = 3600.0
T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True):
    """Why a batch failed as a whole."""

    code: str | None = None
    message: str | None = None


class Problems(msgspec.Struct, frozen=True):
    """All of them."""

    data: Sequence[Problem] | None = None


class Batch(msgspec.Struct, frozen=True):
    """A batch as the server sees it."""

    id: str
    status: str = "validating"
    created_at: float = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: Problems | None = None
    metadata: dict[str, Any] | None = None

    @property
    def is_over(self) -> bool:
        """Nothing will change any more."""
        return self.status in ("completed", "failed", "expired", "cancelled")


class _File(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    data: list[Batch]
    has_more: bool = False


class _Passing(Exception):
    """One try that may be repeated."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BatchApi:
    """The batches of one account at one server. Every method raises ``ConfigError`` and ``ServerGone``."""

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._jitter = random.Random()
        self._reached = False
        self._session: aiohttp.ClientSession | None = None

    async def upload(self, lines: bytes) -> str:
        """The id of a new file of requests."""

        def form() -> aiohttp.FormData:
            made = aiohttp.FormData({"purpose": "batch"})
            made.add_field("file", io.BytesIO(lines), filename="requests.jsonl", content_type="application/jsonl")
            return made

        return (await self._retried(lambda: self._ask("POST", "/files", _File, form()))).id

    async def create(self, file: str, label: str) -> Batch:
        """The batch of that file, which carries the label."""
        asked = {"input_file_id": file, "endpoint": f"/v1{self._endpoint.path}", "completion_window": _WINDOW}
        body = msgspec.json.encode({**asked, "metadata": {"datagen": label}})
        is_first, since = True, time.time()

        async def once() -> Batch:
            nonlocal is_first
            if not is_first and (found := await self._find(label, since)) is not None:
                return found
            is_first = False
            return await self._ask("POST", "/batches", Batch, body)

        return await self._retried(once)

    async def find(self, label: str, since: float) -> Batch | None:
        """The batch that carries the label, or None where there is none; ``since`` is when it was to be made."""
        return await self._retried(lambda: self._find(label, since))

    async def state(self, id: str) -> Batch:
        """The batch of that id."""
        return await self._retried(lambda: self._ask("GET", f"/batches/{id}", Batch))

    async def download(self, file: str, into: BinaryIO) -> None:
        """A file's content, added at the end of ``into``, with a line break after it."""
        start = into.seek(0, 2)

        async def once() -> None:
            into.seek(start)
            into.truncate()
            async with self._response("GET", f"/files/{file}/content") as response:
                if response.status != 200:
                    raise self._failure(response, await response.read())
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    _write(into, chunk)
                _write(into, b"\n")

        await self._retried(once)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _find(self, label: str, since: float) -> Batch | None:
        """Newest first, as they are listed, down to those that are too old."""
        after = ""
        while True:
            page = await self._ask("GET", f"/batches?limit=100{after}", _Page)
            for batch in page.data:
                if (batch.metadata or {}).get("datagen") == label:
                    return batch
            if not page.has_more or not page.data or page.data[-1].created_at < since - _CLOCK_SKEW_S:
                return None
            after = f"&after={page.data[-1].id}"

    async def _ask(self, method: str, path: str, type: type[T], data: Any = None) -> T:
        async with self._response(method, path, data) as response:
            body = await response.read()
            if response.status != 200:
                raise self._failure(response, body)
        try:
            return msgspec.json.decode(body, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _Passing(f"{path}: not what the batch API answers ({error}): {body[:100]!r}") from error

    def _response(self, method: str, path: str, data: Any = None) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=dict(self._endpoint.headers),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=_CONNECT_TIMEOUT_S),
                skip_auto_headers=("User-Agent",),
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=self._endpoint.proxy(),
            )
        headers = {"Content-Type": "application/json"} if isinstance(data, bytes) else {}
        return self._session.request(method, self._endpoint.base_url + path, data=data, headers=headers)

    def _failure(self, response: aiohttp.ClientResponse, body: bytes) -> Exception:
        """What a status other than 200 means."""
        self._reached = True
        code, text = parse_error(body)
        text, status, url = self._endpoint.redact(text), response.status, str(response.url)
        if code == "insufficient_quota":
            return ConfigError(f"{self._endpoint.base_url}: {text}")
        if is_passing(status):
            return _Passing(f"{url} answered {status}: {text}", retry_after_s(response.headers))
        if status == 404 and ("/batches/" in url or "/files/" in url):
            remedy = "made with another key, or deleted? Name another file under submitted: to pay for it again"
            return ConfigError(f"{url} answered 404: {text}; {remedy}")
        if status in (401, 402, 403, 404, 405):
            return self._endpoint.misconfigured(status, text, url)
        return ConfigError(f"{url} answered {status}: {text}")

    async def _retried(self, work: Callable[[], Awaitable[T]]) -> T:
        tries = 0
        while True:
            tries += 1
            failure: Exception
            try:
                result = await work()
            except DatagenError:
                raise
            except aiohttp.ClientSSLError as error:
                raise ConfigError(f"{self._endpoint.base_url}: no TLS connection: {error}") from error
            except aiohttp.InvalidURL as error:
                raise ConfigError(f"base_url {self._endpoint.base_url}: not a URL") from error
            except (aiohttp.ClientError, OSError, _Passing) as error:  # a timeout is an OSError
                failure = error
            else:
                self._reached = True
                return result
            self._give_up_if_hopeless(failure, tries)
            wait = failure.retry_after_s if isinstance(failure, _Passing) else 0.0
            await asyncio.sleep(wait + self._jitter.uniform(0, min(_MAX_DELAY_S, _BASE_DELAY_S * 2 ** (tries - 1))))

    def _give_up_if_hopeless(self, failure: Exception, tries: int) -> None:
        url, message = self._endpoint.base_url, self._endpoint.redact(str(failure) or type(failure).__name__)
        if not self._reached and tries >= _FIRST_CONTACT_TRIES:
            raise ConfigError(f"no batch API at {url} ({message}); start the server, or mend base_url")
        if tries >= _OUTAGE_TRIES:
            raise ServerGone(f"the server at {url} is gone ({message}); run the same command again when it is back")


def _write(into: BinaryIO, chunk: bytes) -> None:
    try:
        into.write(chunk)
    except OSError as error:
        raise StageError(f"no room for a batch's replies: {error}; free the disk and run again") from error
