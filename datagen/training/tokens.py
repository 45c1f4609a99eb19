"""The tokenizer and the data checked against each other before the model is loaded."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from datagen.errors import ConfigError
from datagen.llm.models import check_at_hand

# For bases that come without a chat template; needs no token that a tokenizer might lack.
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}Assistant: {% generation %}{{ message['content'] }}{{ eos_token }}"
    "{% endgeneration %}{{ '\\n' }}{% else %}{{ message['role'] | capitalize }}: {{ message['content'] }}\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{{ ' ' }}{% endif %}"
)
_CHECKED_ROWS = 2000


def load_tokenizer(base: str, template: str | None, options: dict[str, Any]) -> Any:
    """The base's tokenizer with a chat template and a padding token.

    The template is the Jinja file ``template``, else the base's own, else ``PLAIN_TEMPLATE``. Raises ``ConfigError``.
    """
    from transformers import AutoTokenizer

    check_at_hand(base)
    try:
        tokenizer = AutoTokenizer.from_pretrained(base, **options)
    except (OSError, ValueError) as error:
        raise ConfigError(f"base {base}: its tokenizer cannot be loaded: {str(error).splitlines()[0]}") from error
    if template:
        tokenizer.chat_template = Path(template).read_text(encoding="utf-8")
    elif not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE
    if tokenizer.eos_token is None:
        raise ConfigError(f"{base}: its tokenizer has no end-of-text token, so the model could not learn to stop")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def training_template(tokenizer: Any, base: str) -> str | None:
    """A template that marks the assistant's words, where the tokenizer's own does not; TRL has them for known families.

    Raises ``ConfigError`` where there is none.
    """
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    if has_generation_markers(tokenizer.chat_template):
        return None
    try:
        found: str | None = get_training_chat_template(tokenizer)
    except ValueError as error:
        raise ConfigError(
            f"{base}: its chat template does not mark the assistant's words ({{% generation %}}), which "
            "assistant_only_loss needs; set chat_template to one that does, or args: {assistant_only_loss: false}"
        ) from error
    return found


def stop_token(tokenizer: Any, template: str | None) -> str | None:
    """The special token that the model learns to end its turn with, where it is not the tokenizer's end-of-text token.

    A base such as Qwen3-Base ends texts with ``<|endoftext|>`` and turns with ``<|im_end|>``: trained on the second and
    stopped by the first, the student would answer for ever.
    """
    dialogue = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    seen = tokenizer.apply_chat_template(
        dialogue, chat_template=template, return_dict=True, return_assistant_tokens_mask=True
    )
    trained = [token for token, mask in zip(seen["input_ids"], seen["assistant_masks"], strict=True) if mask]
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    stops = [token for token in trained if token in special]
    if not stops or stops[-1] == tokenizer.eos_token_id:
        return None
    return str(tokenizer.convert_ids_to_tokens(stops[-1]))


def check_room(tokenizer: Any, data: Path, max_length: int | None) -> dict[str, float]:
    """Share of rows (of the first 2,000) that ``max_length`` cuts, and of those that it leaves no answer token.

    A ranking is lost as soon as its longest answer is cut, and a prompt that is to be answered when it is longer.
    Raises ``ConfigError`` where every row is lost.
    """
    if max_length is None:
        return {"truncated_share": 0.0, "no_room_share": 0.0}
    with data.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, _CHECKED_ROWS)]
    prompts = [row["messages"][:-1] if "messages" in row else row["prompt"] for row in rows]
    starts = _lengths(tokenizer, prompts, add_generation_prompt=True)
    ends = _ends(tokenizer, rows)
    cut = sum(end > max_length for end in ends) / len(rows)
    lost = (
        cut
        if "answers" in rows[0] or rows[0].keys() == {"prompt"}
        else sum(start >= max_length for start in starts) / len(rows)
    )
    if lost == 1:
        raise ConfigError(
            f"no row has room for its answer in {max_length} tokens: the shortest prompt has {min(starts)}; change "
            "args.max_length (or max_completion_length) or shorten the prompts"
        )
    return {"truncated_share": round(cut, 4), "no_room_share": round(lost, 4)}


def _ends(tokenizer: Any, rows: list[dict[str, Any]]) -> list[int]:
    """The tokens of each row with its answer, its longest one, or without any."""
    if rows[0].keys() == {"prompt"}:
        return _lengths(tokenizer, [row["prompt"] for row in rows], add_generation_prompt=True)
    if "answers" in rows[0]:
        return [max(_lengths(tokenizer, [row["prompt"] + answer for answer in row["answers"]])) for row in rows]
    if "chosen" in rows[0]:
        sides = [_lengths(tokenizer, [row["prompt"] + row[side] for row in rows]) for side in ("chosen", "rejected")]
        return [max(pair) for pair in zip(*sides, strict=True)]
    return _lengths(tokenizer, [row["messages"] for row in rows])


def _lengths(tokenizer: Any, dialogues: list[Any], **options: Any) -> list[int]:
    try:
        texts = [tokenizer.apply_chat_template(dialogue, tokenize=False, **options) for dialogue in dialogues]
    except TemplateError as error:
        raise ConfigError(
            f"the chat template cannot write the rows: {error}; set chat_template to one that can"
        ) from error
    return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
