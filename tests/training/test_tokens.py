import json
from pathlib import Path

import pytest

from datagen.errors import ConfigError
from datagen.training.tokens import check_room, load_tokenizer, stop_token, training_template


def write(path: Path, pairs: list[tuple[str, str]]) -> Path:
    turns = [[{"role": "user", "content": a}, {"role": "assistant", "content": b}] for a, b in pairs]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in turns))
    return path


def test_the_share_of_cut_rows_is_counted_in_tokens(tiny_llama: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_llama), None, {})
    # <|user|> 4 letters <|end|> <|assistant|> is 7 tokens, then the answer and <|end|>: 9, 13 and 10 + 3.
    data = write(tmp_path / "d.jsonl", [("aaaa", "b"), ("aaaa", "bbbbb"), ("a" * 9, "b")])
    assert check_room(tokenizer, data, 9) == {"truncated_share": 0.6667, "no_room_share": 0.3333}
    assert check_room(tokenizer, data, None) == {"truncated_share": 0.0, "no_room_share": 0.0}


def test_no_room_for_any_answer_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_llama), None, {})
    with pytest.raises(ConfigError, match="shortest prompt has 7"):
        check_room(tokenizer, write(tmp_path / "d.jsonl", [("aaaa", "b")]), 7)


def test_a_base_without_a_template_gets_the_plain_one_unless_one_is_given(tiny_llama: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    bare = AutoTokenizer.from_pretrained(tiny_llama)
    bare.chat_template = bare.pad_token = None
    bare.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((tiny_llama / "config.json").read_bytes())
    tokenizer = load_tokenizer(str(tmp_path), None, {})
    assert tokenizer.pad_token == "<|end|>"
    chat = [{"role": "user", "content": "Hi"}]
    asked = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert asked == "User: Hi\nAssistant: "
    answered = tokenizer.apply_chat_template([*chat, {"role": "assistant", "content": "Ho"}], tokenize=False)
    assert answered == asked + "Ho<|end|>\n"
    assert stop_token(tokenizer, None) is None
    (tmp_path / "own.jinja").write_text("{{ messages[0]['content'] }}")
    assert load_tokenizer(str(tmp_path), str(tmp_path / "own.jinja"), {}).chat_template.startswith("{{ messages[0]")


def test_a_template_that_does_not_mark_the_answer_is_refused_or_replaced(tiny_llama: Path) -> None:
    from trl.chat_template_utils import qwen3_chat_template

    tokenizer = load_tokenizer(str(tiny_llama), None, {})
    assert training_template(tokenizer, "base") is None
    tokenizer.chat_template = qwen3_chat_template
    assert "{% generation %}" in (training_template(tokenizer, "base") or "").replace("{%-", "{%").replace("-%}", "%}")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(ConfigError, match="assistant_only_loss"):
        training_template(tokenizer, "base")


def test_a_turn_that_ends_with_another_token_than_the_text_is_noticed(tiny_llama: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_llama), None, {})
    assert stop_token(tokenizer, None) is None
    other = tokenizer.chat_template.replace("<|end|>{% endgeneration %}", "<|pad|>{% endgeneration %}")
    assert stop_token(tokenizer, other) == "<|pad|>"


def test_a_base_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="tokenizer cannot be loaded"):
        load_tokenizer(str(tmp_path), None, {})


def test_a_ranking_needs_room_for_its_longest_answer(tiny_llama: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_llama), None, {})
    prompt = [{"role": "user", "content": "aaaa"}]
    rows = [
        {"prompt": prompt, "answers": [[{"role": "assistant", "content": "b" * n}] for n in (1, k)]} for k in (2, 9)
    ]
    data = tmp_path / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert check_room(tokenizer, data, 10) == {"truncated_share": 0.5, "no_room_share": 0.5}
    with pytest.raises(ConfigError, match="no row has room"):
        check_room(tokenizer, data, 9)
