"""Drop answers that are not JSON, or not the JSON that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.json_text import NotJSON, Where, json_of

Problem = Callable[[Any], dict[str, Any] | None]


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a file that is no JSON schema, and where jsonschema is not installed."""
    _validator(arguments["schema"])


def json_valid(
    records: Iterable[Record], *, of: Where = "either", required: tuple[str, ...] = (), schema: Path | None = None
) -> EachAlone:
    """Rows whose first answer is JSON by RFC 8259 with unique keys, has the keys ``required``, and fits ``schema``.

    ``of``: the whole ``answer``, its one ``fenced`` block, or ``either`` (the block where the answer does not begin
    with a bracket). ``schema`` is a JSON Schema file (draft 2020-12 unless it names another); it needs the extra
    ``checks`` and fetches nothing: references to other documents are errors. Reasons: ``no_json``, ``several_blocks``,
    ``not_json``, ``missing_keys``, ``schema``; the evidence says where and why.
    """
    problem = _validator(schema)
    for record in records:
        try:
            value = json_of(record.answer, of)
        except NotJSON as error:
            yield record.drop(f"json_valid:{error.why}", error=str(error))
            continue
        missing = [key for key in required if not isinstance(value, dict) or key not in value]
        if missing:
            yield record.drop("json_valid:missing_keys", missing=missing)
        elif found := problem(value):
            yield record.drop("json_valid:schema", **found)
        else:
            yield record


def _validator(path: Path | str | None) -> Problem:
    if path is None:
        return lambda value: None
    try:
        from jsonschema import SchemaError
        from jsonschema.exceptions import best_match
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ModuleNotFoundError as error:
        raise ConfigError(f"json_valid: a schema needs {error.name!r}: pip install 'datagen[checks]'") from error
    try:
        schema = json.loads(Path(path).read_text(encoding="utf-8"))
        kind = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
    except (ValueError, SchemaError) as error:
        message = error.message if isinstance(error, SchemaError) else str(error)
        raise ConfigError(f"json_valid: {path} is no JSON schema: {message[:300]}") from error
    validator = kind(schema, registry=Registry())

    def problem(value: Any) -> dict[str, Any] | None:
        try:
            worst = best_match(validator.iter_errors(value))
        except Unresolvable as error:
            raise ConfigError(f"json_valid: {path} refers to another document: {str(error)[:200]}") from error
        except RecursionError:
            return {"error": "nested too deep to be checked", "at": "$"}
        return {"error": worst.message[:300], "at": worst.json_path[:200]} if worst else None

    return problem
