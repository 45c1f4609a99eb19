"""What a sum that is already in pieces comes to, in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

_MOST_DIGITS, _MOST_POWER, _MOST_BITS = 30, 64, 4096


class Token(NamedTuple):
    """A number, sign, word or whatever else a text falls into."""

    kind: str
    text: str
    glued: bool
    """No space stands before it."""


def reckon(tokens: list[Token]) -> Fraction:
    """What numbers, operators, brackets and per cent signs come to, read from end to end.

    ``^`` goes before ``* /`` before ``+ -``; ``2(3)`` is 2 * 3. Raises ``ValueError`` for what is no sum, for ``a / b /
    c`` and for numbers out of all bounds, ``ZeroDivisionError`` for a division by nothing.
    """
    reader = _Reader(tokens)
    value = reader.total()
    if reader.left():
        raise ValueError("something follows the sum")
    return value


class _Reader:
    """Recursive descent."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def left(self) -> bool:
        return self._at < len(self._tokens)

    def total(self) -> Fraction:
        value = self._product()
        while (sign := self._take("+", "-")) is not None:
            value = value + self._product() if sign == "+" else value - self._product()
        return value

    def _product(self) -> Fraction:
        value, last = self._signed(), None
        while True:
            sign = self._take("*", "/")
            if sign is None and not self._opens():
                return value
            if sign == "/" == last:
                raise ValueError("a / b / c is written for a / (b / c) as well")
            factor = self._signed() if sign else self._power()  # 2(3) is 2 * 3
            value, last = (value / factor if sign == "/" else value * factor), sign
            if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
                raise ValueError("too large a number")

    def _signed(self) -> Fraction:
        before = self._tokens[self._at - 1].kind if self._at else ""
        spaced = self._at + 1 < len(self._tokens) and not self._tokens[self._at + 1].glued
        if before and spaced:
            return self._power()  # 2x - 3: a minus with a space after it takes away
        return -self._power() if self._take("-") else self._power()

    def _power(self) -> Fraction:
        base = self._single()
        if self._take("^", "**") is None:
            return base
        exponent = self._signed()
        if exponent.denominator != 1 or abs(exponent) > _MOST_POWER:
            raise ValueError("no small whole power")
        if max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent) > _MOST_BITS:
            raise ValueError("too large a number")
        return Fraction(base ** int(exponent))

    def _single(self) -> Fraction:
        if self._take("("):
            value = self.total()
            if self._take(")") is None:
                raise ValueError("a bracket is not closed")
        else:
            value = self._number()
        return value / 100 if self._take("%") else value

    def _number(self) -> Fraction:
        token = self._tokens[self._at] if self.left() else None
        if token is None or token.kind != "number" or len(token.text) > _MOST_DIGITS:
            raise ValueError("no number")
        self._at += 1
        return Fraction(token.text.replace(",", ""))

    def _opens(self) -> bool:
        return self.left() and self._tokens[self._at].text == "(" and self._tokens[self._at].glued

    def _take(self, *texts: str) -> str | None:
        if self.left() and self._tokens[self._at].text in texts:
            self._at += 1
            return self._tokens[self._at - 1].text
        return None
