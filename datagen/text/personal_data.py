"""Personal data that has a form: addresses of mail, networks and streets, numbers of phones, cards, accounts, persons.

Numbers are checked, not only matched: phones by ``phonenumbers`` (valid, and grouped as is usual in one of the regions
or after a country code), IBANs, cards (Luhn, and an issuer's beginning) and US social security numbers by
``python-stdnum``. Left alone is what stands for nobody: example.com and other reserved names, numbers set aside for
fiction, addresses of private networks. The libraries were chosen for weight: scrubadub would bring scikit-learn and
nltk, presidio spaCy and its models. So names of persons, dates of birth and addresses spelled out ("ann at home dot
org") are NOT found.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

from datagen.errors import ConfigError
from datagen.text.masking import Finder, Finding

Kind = Literal["email", "iban", "credit_card", "ssn", "ip_address", "phone", "street_address"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # in this order: what one finds, the next ones do not see

_EMAIL = re.compile(r"(?<![\w.+-])\w[\w.+-]{0,63}@(?:[^\W_][\w-]{0,62}\.){1,5}[^\W\d_]{2,24}(?![\w@-])")
_USER_INFO = re.compile(r"://[^\s/@]*$")  # https://name:password@host
_RESERVED = re.compile(r"(?:@|\.)(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|local)$", re.I)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w.-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-]|\.\d)")
_ISSUED = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[068]\d{12}|35\d{14}|6(?:011|[45]\d\d)\d{12,15}"
)
_SSN = re.compile(r"(?<![\w-])\d{3}([- ])\d{2}\1\d{4}(?![\w-])")
_IPV4 = re.compile(r"(?<![\w.])(?<!version )(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)", re.I)
_IPV6 = re.compile(r"(?<![\w:])(?=[0-9a-f]*:)[0-9a-f:]{6,39}(?![\w:])", re.I)
_RESOLVERS = {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "1.2.3.4"}
_PHONE_LIKE = re.compile(r"\d(?:[ \t().+/·-]{0,3}\d){6}")
_CALLED = re.compile(r"(?:tel|telephone|phone|call|fax|mobile|cell|whatsapp|sms|text)\b[^\n\d]{0,20}$", re.I)
_MOST_TRIES = 1000  # numbers that are no phones before a text is given up: each costs a millisecond
_FICTION = re.compile(r"1?\d{3}55501\d\d")
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Terrace|Crescent|Highway|Hwy|Parkway"
    "|Square|Close"
)
_ADDRESS = re.compile(
    r"(?<![\w$€£.,-])\d{1,5}[A-Za-z]?,? (?:[NSEW]\.? )?(?!The |A |Supreme )"
    rf"(?:(?:[A-Z][a-z'’]+|\d{{1,3}}(?:st|nd|rd|th)) ){{1,3}}"
    rf"(?:{_STREET})\b\.?"
    r"|\b[A-ZÄÖÜ][a-zäöüß]+(?:straße|strasse|str\.|weg|gasse|allee) \d{1,4}[a-z]?\b"
    r"|(?<!\w)\d{1,4},? (?:rue|avenue|boulevard|place|impasse|chemin) (?:de |du |des |de la )?[A-ZÉ][\w'’-]+"
)


def finder(kinds: Sequence[Kind], regions: Sequence[str]) -> Finder:
    """A function from a text to what it holds of ``kinds``.

    ``regions``: two-letter countries whose phone numbers are known without a country code. Raises ``ConfigError``.
    """
    finders = [(kind, _finder(kind, regions)) for kind in KINDS if kind in kinds]

    def find(text: str) -> list[Finding]:
        found: list[Finding] = []
        for kind, spans in finders:
            for start, end in spans(text):
                found.append(Finding(kind, start, end))
                text = f"{text[:start]}{'#' * (end - start)}{text[end:]}"
        return sorted(found, key=lambda one: one.start)

    return find


_Spans = Callable[[str], list[tuple[int, int]]]


def _finder(kind: Kind, regions: Sequence[str]) -> _Spans:
    if kind == "phone":
        return _phones(regions)
    numbers = functools.partial(_library, "stdnum")
    checks: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], bool]]] = {
        "email": (_EMAIL, _is_mail),
        "iban": (_IBAN, lambda match: bool(numbers("iban").is_valid(match[0]))),
        "credit_card": (_CARD, lambda match: _is_card(match[0], numbers("luhn"))),
        "ssn": (_SSN, lambda match: bool(numbers("us.ssn").is_valid(match[0].replace(" ", "-")))),
        "ip_address": (_IPV4, lambda match: _is_somebodys(match[0])),
        "street_address": (_ADDRESS, lambda match: True),
    }
    if kind in ("iban", "credit_card", "ssn"):
        numbers("luhn")
    pattern, is_one = checks[kind]
    if kind == "ip_address":
        return lambda text: [
            *_spans(text, pattern, is_one),
            *(_spans(text, _IPV6, is_one) if "::" in text or text.count(":") > 6 else []),
        ]
    return lambda text: _spans(text, pattern, is_one)


def _spans(text: str, pattern: re.Pattern[str], is_one: Callable[[re.Match[str]], bool]) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text) if is_one(match)]


def _is_mail(match: re.Match[str]) -> bool:
    in_address = _USER_INFO.search(match.string, max(0, match.start() - 200), match.start())
    return not (in_address or _RESERVED.search(match[0]) or match[0].startswith("git@"))


def _is_card(text: str, luhn: Any) -> bool:
    digits = re.sub(r"\D", "", text)
    return bool(_ISSUED.fullmatch(digits)) and len(set(digits)) > 1 and bool(luhn.is_valid(digits))


def _is_somebodys(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast and text not in _RESOLVERS


def _phones(regions: Sequence[str]) -> _Spans:
    phonenumbers = _library("phonenumbers")
    if unknown := sorted(set(regions) - set(phonenumbers.SUPPORTED_REGIONS)):
        raise ConfigError(
            f"personal_data: regions: no country {unknown[0]!r}; two letters are meant, such as US, GB, DE"
        )

    grouped = phonenumbers.Leniency.STRICT_GROUPING

    def matches(text: str) -> Iterator[tuple[int, int]]:
        for region in (*regions, None):
            for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=grouped, max_tries=_MOST_TRIES):
                number = str(match.number.national_number)
                bare = match.raw_string.isdigit() and not _CALLED.search(text[max(0, match.start - 40) : match.start])
                if _SSN.fullmatch(match.raw_string):
                    continue
                if not bare and not (match.number.country_code == 1 and _FICTION.fullmatch(number)):
                    yield match.start, match.end

    def apart(text: str) -> list[tuple[int, int]]:
        kept: list[tuple[int, int]] = []
        for start, end in sorted(matches(text)) if _PHONE_LIKE.search(text) else ():
            if not kept or start >= kept[-1][1]:
                kept.append((start, end))
        return kept

    return apart


@functools.cache
def _library(package: str, module: str = "") -> Any:
    import importlib

    try:
        return importlib.import_module(f"{package}.{module}" if module else package)
    except ModuleNotFoundError as error:
        raise ConfigError(f"personal_data needs {error.name!r}: pip install 'datagen[checks]'") from error
