"""How fast do ``training.sft``, ``dpo`` and ``reward`` train, beside a bare TRL script on the same rows?

Four arms on ragged instruction data, each in its own process, in turns: `ours`; `ours, ungrouped` (batches at random);
`TRL, same` (a bare script with exactly the settings of `ours, ungrouped`: the ratio is what our machinery costs); and
`TRL, defaults` (TRL's own settings; batch size, epochs, learning rate and what the loss counts as in ours). Seconds are
of ``trainer.train()``; what comes before and after it is start-up, told apart. Gate: the loss on held-out rows. Pairs
are an Alpaca row's answer against another row's. A Llama of random weights. MFU counts 6 N a token of SFT.
Run: OMP_NUM_THREADS=1 python benchmarks/training_speed.py ALPACA.json [--methods sft dpo reward] [--rows 480]
A GPU: python benchmarks/training_speed.py ALPACA.json --rows 20000 --hidden 2048 --layers 16 --heads 32 --vocab 32000 \
    --context 2048 --args '{"packing": true, "bf16": true, "max_length": 2048, "learning_rate": 1e-4}' --methods sft
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from machine import warn_if_busy

from datagen.plugins import load_stage
from datagen.record import Answer, Record, encode, instruction, read_records

HELD_OUT = 64
ARMS = ("ours", "ours, ungrouped", "TRL, same", "TRL, defaults")
TRL_NAMES = {"sft": "SFT", "dpo": "DPO", "reward": "Reward"}
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|end|>"
    "{% endgeneration %}{% else %}<|user|>{{ m['content'] }}<|assistant|>{% endif %}{% endfor %}"
)


def make_model(folder: Path, texts: list[str], given: argparse.Namespace) -> int:
    """A Llama of random weights with a vocabulary learnt from the texts; its parameters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    specials = ["<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=given.vocab, special_tokens=specials, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>", pad_token="<|pad|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=given.vocab, hidden_size=given.hidden, intermediate_size=3 * given.hidden, bos_token_id=None,
        num_hidden_layers=given.layers, num_attention_heads=given.heads, num_key_value_heads=given.heads,
        max_position_embeddings=given.context, tie_word_embeddings=True, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return int(model.num_parameters())


def alpaca(path: Path, count: int) -> list[Record]:
    """Random rows, each with its own answer and another row's."""
    rows = [row for row in json.loads(path.read_text()) if len(row["output"].strip()) > 1]
    drawn = random.Random(0).sample(rows, count)
    pairs = zip(drawn, [*drawn[1:], drawn[0]], strict=True)
    return [
        instruction(f"{row['instruction']}\n{row['input']}".strip(), source="alpaca").with_answers(
            [Answer(row["output"]), Answer(other["output"])]
        )
        for row, other in pairs
        if row["output"].strip() != other["output"].strip()
    ]


def ours(plan: dict[str, Any]) -> dict[str, Any]:
    stage, out = load_stage(f"training.{plan['method']}").function, Path(plan["out"])
    more = {"eval_share": 0.0} if plan["method"] == "reward" else {}
    rows = list(read_records(Path(plan["rows"])))
    asyncio.run(stage(rows, out, base=plan["base"], rng=random.Random(0), args=plan["args"], **more))
    return dict(json.loads((out / "result.json").read_bytes()))


def bare(plan: dict[str, Any]) -> dict[str, Any]:
    """What a user of TRL would write."""
    import resource

    import torch
    import trl
    from datasets import Dataset

    rows = []
    for record in read_records(Path(plan["rows"])):
        prompt = [{"role": "user", "content": record.instruction}]
        better, worse = ([{"role": "assistant", "content": answer.content}] for answer in record.answers)
        row = {"prompt": prompt, "chosen": better, "rejected": worse}
        rows.append({"messages": prompt + better} if plan["method"] == "sft" else row)
    name = TRL_NAMES[plan["method"]]
    args = getattr(trl, f"{name}Config")(output_dir=str(Path(plan["out"]) / "checkpoints"), **plan["args"])
    trainer = getattr(trl, f"{name}Trainer")(model=plan["base"], args=args, train_dataset=Dataset.from_list(rows))
    started, worked = time.monotonic(), time.process_time()
    trainer.train()
    seconds, worked = time.monotonic() - started, time.process_time() - worked
    trainer.save_model(str(Path(plan["out"]) / "model"))
    gpu = torch.cuda.max_memory_allocated() >> 20 if torch.cuda.is_available() else 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {"train_seconds": seconds, "train_cpu_seconds": worked, "peak_memory_mb": peak, "peak_gpu_memory_mb": gpu}


def judged(plan: dict[str, Any]) -> dict[str, float]:
    """The loss of each trained model on held-out rows: of the answer's tokens, or Bradley-Terry's of the pairs."""
    import torch
    from torch.nn.functional import logsigmoid
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    tokenizer, method = AutoTokenizer.from_pretrained(plan["base"]), plan["method"]
    kind = AutoModelForSequenceClassification if method == "reward" else AutoModelForCausalLM
    rows = list(read_records(Path(plan["held_out"])))

    @torch.no_grad()
    def score(model: Any, record: Record, answer: Answer) -> Any:
        chat = [{"role": "user", "content": record.instruction}]
        asked = len(tokenizer.apply_chat_template(chat, return_dict=True)["input_ids"])
        chat.append({"role": "assistant", "content": answer.content})
        ids = tokenizer.apply_chat_template(chat, return_dict=True, return_tensors="pt")["input_ids"][
            :, : plan["context"]
        ]
        logits = model(input_ids=ids).logits
        if method == "reward":
            return logits[0, 0]
        logps = logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[asked - 1 :, 0]
        return logps.mean() if method == "sft" else logps.sum()

    def loss(folder: str) -> float:
        model, base = (kind.from_pretrained(path, dtype=torch.float32) for path in (folder, plan["base"]))
        total = 0.0
        for record in rows:
            better, worse = record.answers
            if method == "sft":
                total -= float(score(model, record, better))
                continue
            margin = score(model, record, better) - score(model, record, worse)
            if method == "dpo":
                margin = 0.1 * (margin - score(base, record, better) + score(base, record, worse))
            total -= float(logsigmoid(margin))
        return total / len(rows)

    return {arm: loss(folder) for arm, folder in plan["models"].items()}


def matrix_rate(*, bf16: bool) -> float:
    """Multiplications and additions a second of square matrices, here."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 8192 if device == "cuda" else 1024
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    times = []
    for _ in range(10):
        if device == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        _ = a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return float(2 * size**3 / min(times))


def child(work: Path, what: str, plan: dict[str, Any]) -> dict[str, Any]:
    """One arm in a process of its own: what it gives back, and how long all of it took."""
    path, out = work / "plan.json", work / "out.json"
    path.write_text(json.dumps(plan))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])}
    started = time.monotonic()
    with (work / "log").open("ab") as log:
        subprocess.run(
            [sys.executable, __file__, "--child", what, str(path), str(out)],
            check=True, stdout=log, stderr=log, env=environment,
        )  # fmt: skip
    return {**json.loads(out.read_bytes()), "whole": time.monotonic() - started}


def compare(method: str, work: Path, given: argparse.Namespace, parameters: int) -> None:
    args = {"learning_rate": 1e-3, "num_train_epochs": 1, "per_device_train_batch_size": 16, **given.args}
    defaults = {**args, "use_cpu": "bf16" not in given.args, "bf16": bool(given.args.get("bf16")), "report_to": "none"}
    defaults |= {"assistant_only_loss": True} if method == "sft" else {}
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    plan = {"method": method, "rows": str(work / "rows.jsonl"), "base": str(work / "base")}
    same: dict[str, Any] = {}
    for turn in range(given.repeats):
        for arm in ARMS:
            ungrouped = {"train_sampling_strategy": "random"} if "ungrouped" in arm else {}
            settings = same if arm == "TRL, same" else defaults if arm == "TRL, defaults" else {**args, **ungrouped}
            out = work / f"{method}-{arm.replace(', ', '-')}-{turn}"
            result = child(
                work, "ours" if arm.startswith("ours") else "bare", {**plan, "out": str(out), "args": settings}
            )
            found[arm].append({**result, "out": out})
            same = result["settings"] if ungrouped else same
    tokens = token_count(found["ours"][0]["out"])
    models = {arm: str(runs[0]["out"] / "model") for arm, runs in found.items()}
    held = {"held_out": str(work / "held_out.jsonl"), "models": models, "context": given.context}
    losses = child(work, "judged", {**plan, **held})
    rate = matrix_rate(bf16=bool(given.args.get("bf16")))
    print(f"\n{method}: {tokens:,} tokens, median of {given.repeats}; ratios are tokens a second over ours (wall, CPU)")
    ours_s, ours_cpu = (median(run[key] for run in found["ours"]) for key in ("train_seconds", "train_cpu_seconds"))
    for arm, runs in found.items():
        seconds, worked = (median(run[key] for run in runs) for key in ("train_seconds", "train_cpu_seconds"))
        start_up = median(run["whole"] for run in runs) - seconds
        memory = runs[0]["peak_gpu_memory_mb"] or runs[0]["peak_memory_mb"]
        mfu = f", MFU {6 * parameters * tokens / seconds / rate:.2f}" if method == "sft" else ""
        print(
            f"  {arm:16} {tokens / seconds:8,.0f} tok/s  {seconds:6.1f} s, CPU {worked:6.1f} s  "
            f"{ours_s / seconds:.2f} {ours_cpu / worked:.2f}  start-up {start_up:5.1f} s  {memory} MB  "
            f"held-out loss {losses[arm]:.4f}{mfu}",
            flush=True,
        )


def token_count(out: Path) -> int:
    entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return max(int(entry.get("tokens", 0)) for entry in entries)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        _, what, plan, out = sys.argv[1:]
        result = {"ours": ours, "bare": bare, "judged": judged}[what](json.loads(Path(plan).read_bytes()))
        Path(out).write_text(json.dumps(result))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", nargs="+", choices=TRL_NAMES, default=list(TRL_NAMES))
    parser.add_argument("--args", type=json.loads, default={}, help="fields of TRL's config, for all arms, as JSON")
    sizes = {"rows": 480, "repeats": 3, "hidden": 128, "layers": 4, "heads": 4, "vocab": 4096, "context": 1024}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    warn_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        records = alpaca(given.data, given.rows + HELD_OUT)
        for name, part in (("rows", records[HELD_OUT:]), ("held_out", records[:HELD_OUT])):
            (work / f"{name}.jsonl").write_bytes(b"".join(encode(record) + b"\n" for record in part))
        texts = [f"{record.instruction} {record.answer}" for record in records]
        parameters = make_model(work / "base", texts, given)
        print(f"{len(records) - HELD_OUT} rows, a Llama of {parameters / 1e6:.1f}M parameters", flush=True)
        for method in given.methods:
            compare(method, work, given, parameters)


if __name__ == "__main__":
    main()
