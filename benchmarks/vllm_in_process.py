"""``use: vllm`` against vLLM's own ``LLM.generate``: tokens a second on the same prompts, in the same environment.

Ours is ``generators.answer`` over rows of a file: chat template, journal and rows on disk included. A model of random
weights, whose replies end by chance as real ones do (1 token in 128 is an end token). Each side has a process of its
own, and they take turns; the engine's start is not counted. ``LLM.generate`` runs with a seed for each request, as
ours always does, and without, which is what seeds cost. Run with the Python that has vLLM; on a CPU:

    VLLM_CPU_KVCACHE_SPACE=1 python benchmarks/vllm_in_process.py --layers 2 --hidden 128 --heads 4 --vocab 2000 \
        --prompts 300 --max-tokens 128 --dtype float32 --eager
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

WARM_UP = 64
CONTEXT = 2048
SIDES = ("ours", "seeded", "unseeded")


def make_model(folder: Path, layers: int, hidden: int, heads: int, vocab: int) -> None:
    """A Llama of random weights, in bfloat16, with one token for each of the words w2, w3, ..."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    names = ["<pad>", "</s>", *(f"w{number}" for number in range(2, vocab))]
    words = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", pad_token="<pad>")
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 4),
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
    )
    torch.set_default_dtype(torch.bfloat16)
    model = LlamaForCausalLM(config)
    ends = list(range(1, vocab, 128))
    model.generation_config = GenerationConfig(eos_token_id=ends)
    model.save_pretrained(folder)
    print(f"{model.num_parameters() / 1e6:,.0f}M parameters, {len(ends):,} end tokens of {vocab:,}", flush=True)


def make_prompts(path: Path, count: int, vocab: int, seed: int) -> None:
    rng = random.Random(seed)
    texts = (" ".join(f"w{rng.randrange(2, vocab)}" for _ in range(rng.randint(16, 128))) for _ in range(count))
    path.write_text("".join(json.dumps({"instruction": text, "output": ""}) + "\n" for text in texts))


def ours(folder: Path, engine: dict[str, Any], max_tokens: int) -> dict[str, float]:
    import datagen

    sampling = {"temperature": 1.0, "max_tokens": max_tokens}
    entry = {"use": "vllm", "model": str(folder / "model"), "sampling": sampling, **engine}
    stages = {
        "few": {"use": "sources.jsonl", "path": str(folder / "few.jsonl")},
        "warm": {"use": "generators.answer", "llm": "teacher"},
        "rows": {"use": "sources.jsonl", "path": str(folder / "prompts.jsonl")},
        "answers": {"use": "generators.answer", "llm": "teacher"},
    }
    with tempfile.TemporaryDirectory() as root:
        pipeline = {"name": "vllm", "llms": {"teacher": entry}, "stages": stages}
        result = datagen.run(pipeline, root=root).results["answers"]
    return {"seconds": result.seconds, "tokens": result.completion_tokens, "calls": result.calls}


def generated(folder: Path, engine: dict[str, Any], max_tokens: int, *, seeded: bool) -> dict[str, float]:
    from vllm import LLM, SamplingParams

    llm = LLM(model=str(folder / "model"), **engine)
    template = llm.get_tokenizer().apply_chat_template

    def timed(name: str) -> dict[str, float]:
        rows = [json.loads(line)["instruction"] for line in (folder / name).read_text().splitlines()]
        started = time.monotonic()
        prompts = [template([{"role": "user", "content": row}], tokenize=False) for row in rows]
        wanted = [
            SamplingParams(temperature=1.0, max_tokens=max_tokens, seed=number if seeded else None)
            for number in range(len(rows))
        ]
        outputs = llm.generate(prompts, wanted, use_tqdm=False)
        seconds = time.monotonic() - started
        return {
            "seconds": seconds,
            "tokens": sum(len(one.outputs[0].token_ids) for one in outputs),
            "calls": len(outputs),
        }

    timed("few.jsonl")
    return timed("prompts.jsonl")


def measured(side: str, folder: Path, engine: dict[str, Any], max_tokens: int) -> dict[str, float]:
    """One side in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), "--max-tokens", str(max_tokens)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*command, "--engine", json.dumps(engine)], stdout=subprocess.PIPE, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    result["rate"] = result["tokens"] / result["seconds"]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{side:<10} {result['calls']:,.0f} calls  {result['tokens']:,.0f} tokens  {result['seconds']:.1f} s  "
        f"{result['rate']:,.0f} tokens/s  ({cpu:.0f} s of CPU, start included)",
        flush=True,
    )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--vocab", type=int, default=32_000)
    parser.add_argument("--prompts", type=int, default=5000)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--engine", type=json.loads, default={}, help="further engine arguments, as JSON")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side == "ours":
        print(json.dumps(ours(options.folder, options.engine, options.max_tokens)))
        return
    if options.side:
        seeded = options.side == "seeded"
        print(json.dumps(generated(options.folder, options.engine, options.max_tokens, seeded=seeded)))
        return
    engine = {"dtype": options.dtype, "enforce_eager": options.eager, "max_model_len": CONTEXT, **options.engine}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder / "model", options.layers, options.hidden, options.heads, options.vocab)
        make_prompts(folder / "few.jsonl", WARM_UP, options.vocab, seed=1)
        make_prompts(folder / "prompts.jsonl", options.prompts, options.vocab, seed=2)
        rates: dict[str, list[float]] = {side: [] for side in options.sides}
        for _ in range(options.rounds):
            for side in options.sides:
                rates[side].append(measured(side, folder, engine, options.max_tokens)["rate"])
    for side in options.sides[1:]:
        print(f"{options.sides[0]} / {side}: {median(rates[options.sides[0]]) / median(rates[side]):.3f}")


if __name__ == "__main__":
    main()
