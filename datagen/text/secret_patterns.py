"""Secrets in text: the named detectors of Yelp's ``detect-secrets``, newer keys, key blocks and assigned passwords.

Of the library only the patterns of one issuer's form each are used, and it is never asked to verify a secret: its
detectors of entropy and of public addresses fire on ordinary text. ``assigned`` is a quoted value of at least 12
characters, digits and letters mixed, with an entropy of 3 bits a character or more, given to a name such as api_key or
password. Placeholders (``your_key_here``, ``xxxx``, ``EXAMPLE``) are left alone.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from datagen.errors import ConfigError
from datagen.text.masking import Finding

_DETECTORS = {
    "aws": "AWSKeyDetector",
    "azure_storage": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "cloudant": "CloudantDetector",
    "discord": "DiscordBotTokenDetector",
    "github": "GitHubTokenDetector",
    "gitlab": "GitLabTokenDetector",
    "ibm_cloud": "IbmCloudIamDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "pypi": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
_OWN = {
    "private_key": re.compile(
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]+-----|\Z)", re.S
    ),
    "openai": re.compile(r"(?<![\w-])sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32,200}(?![\w-])"),
    "jwt": re.compile(r"(?<![\w-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}"),
    "anthropic": re.compile(r"(?<![\w-])sk-ant-[A-Za-z0-9_-]{20,200}"),
    "huggingface": re.compile(r"(?<!\w)hf_[A-Za-z]{30,40}(?!\w)"),
    "google": re.compile(r"(?<!\w)AIza[\w-]{35}(?![\w-])"),
    "github": re.compile(r"(?<!\w)github_pat_\w{60,90}"),
}
_ASSIGNED = re.compile(
    r"(?:api|secret|access|auth|private|client)[_ -]?(?:key|token|secret)|passw(?:or)?d|\bpwd|\btoken|\bsecret",
    re.I,
)
_VALUE = re.compile(r"""[\w"'\]]{0,20}\s{0,3}(?:=>|:=|[:=])\s{0,3}(["'])([^\s"']{12,200})\1""")
_PLACEHOLDER = re.compile(
    r"your|example|passw|xxx|\*\*\*|\.\.\.|placeholder|dummy|sample|changeme|insert|<|\{\{|\$\{|(.)\1{5}|123456789|abcdef",
    re.I,
)
_LIKELY = re.compile(r"[\w+/=-]{12,}")
_MARKED = re.compile(r"://[^\s/]{0,200}:[^\s/]{1,200}@|-----BEGIN|hf_|passw|pwd|secret|token|key[\"']?\s?[:=]", re.I)
_LEAST_BITS, _LEAST_SECRET = 3.0, 6


@functools.cache
def finder() -> Callable[[str], list[Finding]]:
    """A function from a text to its secrets. Raises ``ConfigError`` where detect-secrets is not installed."""
    detectors = _detectors()

    def find(text: str) -> list[Finding]:
        if not _MARKED.search(text) and not any(map(_has_digit_and_letter, _LIKELY.findall(text))):
            return []
        spans = [*_matched(text), *_detected(text, detectors), *_assigned(text)]
        kept: list[Finding] = []
        for finding in sorted(set(spans), key=lambda one: (one.start, -one.end, one.kind == "assigned", one.kind)):
            if not kept or finding.start >= kept[-1].end:
                kept.append(finding)
        return kept

    return find


def _matched(text: str) -> Iterator[Finding]:
    for kind, pattern in _OWN.items():
        for match in pattern.finditer(text):
            if kind == "private_key" or not _PLACEHOLDER.search(match[0]):
                yield Finding(kind, *match.span())


def _detected(text: str, detectors: dict[str, Any]) -> Iterator[Finding]:
    for kind, detector in detectors.items():
        for pattern in detector.denylist:
            for match in pattern.finditer(text):
                group = 1 if match.lastindex and len(match[1] or "") >= _LEAST_SECRET else 0  # else the whole is it
                if not _PLACEHOLDER.search(match[group]):
                    yield Finding(kind, *match.span(group))


def _assigned(text: str) -> Iterator[Finding]:
    for name in _ASSIGNED.finditer(text):
        match = _VALUE.match(text, name.end())
        if match and _is_random(match[2]) and not _PLACEHOLDER.search(match[2]):
            yield Finding("assigned", *match.span(2))


def _is_random(value: str) -> bool:
    return _has_digit_and_letter(value) and _bits(value) >= _LEAST_BITS


def _bits(text: str) -> float:
    """Shannon entropy in bits a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def _has_digit_and_letter(text: str) -> bool:
    return any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _detectors() -> dict[str, Any]:
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    except ModuleNotFoundError as error:
        raise ConfigError(f"secrets: {error.name!r} is needed: pip install 'datagen[checks]'") from error
    classes = {one.__name__: one for one in get_mapping_from_secret_type_to_class().values()}
    return {kind: classes[name]() for kind, name in _DETECTORS.items() if name in classes}
