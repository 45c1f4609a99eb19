"""The tokenizer of both models: byte-level BPE, digits apart, a space before every word (also after a line break).

So each word of the world is one token wherever it stands. Decoding takes the first space off again.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from datagen.tiny import base_corpus, roles
from datagen.tiny.skills import SKILLS

VOCABULARY = 2048
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
_WORDS = r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{{- '<|assistant|>' -}}
{%- generation -%}
{{- ' ' + message['content'] + '<|end|>' -}}
{%- endgeneration -%}
{%- else -%}
{{- '<|' + message['role'] + '|> ' + message['content'] + '<|end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}
"""


def _corpus(seed: int) -> list[str]:
    rng = Random(f"tokenizer-{seed}")
    docs = roles.draw_docs(rng, 8000, 1.0)
    texts = [f" {message.content}" for doc in docs for message in doc.messages]
    texts += [f" {base_corpus.text(rng)}" for _ in range(2000)]
    for skill in SKILLS.values():
        for _ in range(500 if skill.group in ("words", "languages", "countries") else 150):
            args = skill.draw(rng)
            texts += [f" {value}" for value in (*args.values(), skill.solve(args))]
    return texts


def train(seed: int) -> PreTrainedTokenizerFast:
    """A tokenizer trained on a sample of both corpora."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace("\n", "\n ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteLevel(), decoders.Replace("\n ", "\n"), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(seed), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def save(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """The tokenizer's files, as the hub lays them out."""
    tokenizer.save_pretrained(folder)
