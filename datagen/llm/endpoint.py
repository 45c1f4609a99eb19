"""Where an OpenAI-compatible server's requests go, what goes with each, and what must never be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from datagen.errors import ConfigError
from datagen.llm import chat_completions, text_completions
from datagen.llm.base import Reply, Sampling
from datagen.record import Message

Api = Literal["chat", "completions"]
_RAW_BYTES = 100_000
_CREDENTIALS = {"authorization", "cookie", "key", "apikey", "token", "secret"}
_NOT_PASSED = {"n": "ask for samples, one a request", "stream": "replies are read whole"}


@dataclass(frozen=True)
class Endpoint:
    """Where requests go and what goes with each of them."""

    base_url: str
    model: str
    headers: Mapping[str, str]
    secrets: tuple[str, ...]
    api_key_env: str
    extra_body: Mapping[str, Any]
    api: Api

    @cached_property
    def at_openai(self) -> bool:
        """Whether this is OpenAI itself, whose API takes less than the others' do."""
        return _is_openai(self.base_url)

    @property
    def path(self) -> str:
        """Where below the base the completions are."""
        return "/chat/completions" if self.api == "chat" else "/completions"

    @property
    def url(self) -> str:
        """Address of the completions."""
        return self.base_url + self.path

    @property
    def identity(self) -> dict[str, Any]:
        """Address, model and extra body fields: no header, so no key."""
        at = {"base_url": self.base_url, "model": self.model, "extra_body": dict(self.extra_body)}
        return at if self.api == "chat" else {**at, "api": self.api}

    def body(self, messages: Sequence[Message], sampling: Sampling) -> bytes:
        """A request as it is sent. Raises ``ConfigError`` for fields that cannot be."""
        _check_extra("sampling.extra", sampling.extra)
        if sampling.choice and self.at_openai:
            raise ConfigError(f"{self.base_url} has no choice; give a schema with an enum")
        if self.api == "chat":
            field = "max_completion_tokens" if self.at_openai else "max_tokens"
            body = chat_completions.request_body(self.model, messages, sampling, max_tokens_field=field)
        else:
            body = text_completions.request_body(self.model, messages, sampling)
        whole = {**body, **self.extra_body, **sampling.extra}
        return msgspec.json.encode({name: value for name, value in whole.items() if value is not None})

    def parse(self, data: bytes) -> Reply:
        """The reply that came. Raises ``ValueError``, ``MsgspecError`` or ``RecursionError``."""
        return chat_completions.parse_reply(data) if self.api == "chat" else text_completions.parse_reply(data)

    def misconfigured(self, status: int, text: str, url: str) -> ConfigError:
        """What the user must mend when ``url`` answers 401, 402, 403, 404 or 405."""
        if status in (401, 403):
            given = "was refused" if self.secrets else "is not set"
            hint = f"the API key is taken from the environment variable {self.api_key_env}, which {given}"
            return ConfigError(f"{self.base_url} answered {status}: {text or 'no reason given'}; {hint}")
        versioned = re.search(r"/v\d+\w*$", self.base_url)
        hint = "" if versioned else f"; did you mean base_url: {self.base_url}/v1 ?"
        return ConfigError(f"{url} answered {status} for model {self.model!r}: {text or 'not found'}{hint}")

    def proxy(self) -> str | None:
        """The environment's proxy, to be looked up once (aiohttp's ``trust_env`` does so for each request)."""
        parts = urlsplit(self.base_url)
        if proxy_bypass(parts.hostname or ""):
            return None
        return getproxies().get(parts.scheme)

    def redact(self, text: str) -> str:
        """The text, shortened, on one line and without any key."""
        return " ".join(self.hide(text).split())[:300]

    def hide(self, text: str) -> str:
        """The text without any key."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def raw(self, data: bytes) -> str:
        """What came, as text that a dropped record can keep."""
        return self.hide(data[:_RAW_BYTES].decode("utf-8", "replace"))


def endpoint(
    base_url: str,
    model: str,
    api: Api,
    api_key_env: str,
    headers: Mapping[str, str],
    extra_body: Mapping[str, Any],
) -> Endpoint:
    """The endpoint with its key from the environment. Raises ``ConfigError`` (see ``openai``)."""
    _check_extra("extra_body", extra_body)
    check_address(base_url, headers)
    base_url = base_url.rstrip("/")
    key = _sendable(api_key_env)
    if not key and _is_openai(base_url):
        raise ConfigError(f"{base_url} needs an API key: set the environment variable {api_key_env}")
    sent = {"Authorization": f"Bearer {key}"} if key else {}
    secrets = [key] if key else []
    for name, value in headers.items():
        sent[name] = _from_environment(name, value)
        if value.startswith("$"):
            secrets += [sent[name], sent[name].split()[-1]]  # the second without its scheme, such as Bearer
    return Endpoint(base_url, model, sent, tuple(secrets), api_key_env, extra_body, api)


def check_environment(arguments: Mapping[str, Any]) -> None:
    """Raises ``ConfigError`` where the environment lacks a key that an entry's checked arguments need."""
    headers, extra_body = arguments["headers"] or {}, arguments["extra_body"] or {}
    endpoint(arguments["base_url"], arguments["model"], arguments["api"], arguments["api_key_env"], headers, extra_body)


def check_address(base_url: str, headers: Mapping[str, str]) -> None:
    """Raises ``ConfigError`` for a malformed URL, or a secret in the file, which is saved with the run and shared."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"base_url {base_url!r}: must look like http://localhost:8000/v1")
    if parts.username or parts.password:
        raise ConfigError(f"base_url of {parts.hostname}: holds a password; put it under headers as $VARIABLE")
    if parts.query or parts.fragment:
        raise ConfigError(
            f"base_url of {parts.hostname}: ends in a query, but a path is put behind it; leave out ? and #"
        )
    for name, value in headers.items():
        if _CREDENTIALS & set(re.split("[-_]", name.lower())) and not value.startswith("$"):
            raise ConfigError(
                f"headers.{name}: a key does not go into a file; write $NAME, and put the whole value into the "
                "environment variable NAME"
            )


def check_limits(**limits: float | None) -> None:
    """Raises ``ConfigError`` for one that is below 1."""
    for name, value in limits.items():
        if value is not None and value < 1:
            raise ConfigError(f"{name}: {value} is less than 1")


def _check_extra(where: str, fields: Mapping[str, Any]) -> None:
    for name in _NOT_PASSED.keys() & fields.keys():
        raise ConfigError(f"{where}: {name}: cannot be set; {_NOT_PASSED[name]}")


def _from_environment(header: str, value: str) -> str:
    if not value.startswith("$"):
        return value
    if not (found := _sendable(value[1:])):
        raise ConfigError(f"headers.{header}: set the environment variable {value[1:]}")
    return found


def _sendable(variable: str) -> str:
    """What the environment holds, without the line break that a file's content ends with; empty where it is not set."""
    value = os.environ.get(variable, "").strip()
    if not value.isprintable():
        raise ConfigError(f"environment variable {variable}: holds a line break or another control character")
    return value


def _is_openai(base_url: str) -> bool:
    return urlsplit(base_url).hostname == "api.openai.com"
