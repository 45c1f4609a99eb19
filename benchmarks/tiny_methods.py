"""What the methods do to a student in the tiny world, over several seeds: exact match on held-out tasks.

Each part asks one question at equal numbers of training rows or answers, so that the method alone differs:
  filters    all rows, as many random rows as grading keeps, graded, deduplicated, graded and deduplicated: AlpaGasus's
             claim in miniature (the tasks are made without a novelty filter, so that there is something to find)
  evolve     evolved tasks against plain ones, on hard held-out tasks (a rule on form, or two steps) and on all
  chat       dialogues against single turns, on held-out follow-ups
  translate  answering in the other language against translating the answer, on held-out French and Spanish tasks
  prefer     a reward model's accuracy on held-out pairs; SFT, DPO, PPO and PPO-ptx by exact match, by that reward, by
             the divergence from SFT, and by the loss on the base's own text
The outside comparison is each method's own control and the oracle. Exact match is at T=0; the reward and the divergence
are means over one answer at T=1 to each of 400 held-out prompts (the divergence in nats an answer).
Run: .venv/bin/python benchmarks/tiny_methods.py [PART ...] [--seeds 3] [--first-seed 0] [--root runs]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from policies import earned, text_loss

import datagen
from datagen.llm.models import resolve
from datagen.progress import Progress
from datagen.runner import Outcome
from datagen.tiny import base_corpus, oracle, roles, world

Document = dict[str, Any]
Numbers = dict[str, float]
ORACLE = "datagen.tiny.oracle:check"
SFT = {"use": "training.sft", "base": "tiny-base", "args": {"learning_rate": 0.002, "num_train_epochs": 8}}
LLMS = {
    "teacher": {"use": "transformers", "model": "tiny-teacher", "prompts": "tiny"},
    "base": {"use": "transformers", "model": "tiny-base"},
}
TASKS: Document = {
    "seeds": {"use": "sources.jsonl", "path": "seeds/tiny_tasks.jsonl"},
    "tasks": {"use": "generators.self_instruct", "llm": "teacher", "count": 2400},
    "clean": {"use": "filters.decontaminate", "from": "tasks", "against": "test"},
}


def write(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path.resolve())


def hard_tests(count: int) -> Iterable[dict[str, Any]]:
    """Held-out tasks with a rule on form or a second step."""
    rng, seen = Random("hard"), set()
    while len(seen) < count:
        item = world.draw(rng, held_out=True)
        task = oracle.parse(item.prompt)
        if "+" in item.skill and item.prompt not in seen and task and not any(p.skill.halved for p in task.parts):
            seen.add(item.prompt)
            yield {"instruction": item.instruction, "input": item.input, "output": item.answer}


def follow_up_tests(count: int) -> Iterable[dict[str, Any]]:
    """Held-out dialogues whose last turn leans on an earlier one, the earlier answers being right."""
    rng = Random("follow-up")
    while count:
        turns = roles.draw_dialogue(rng, held_out=True)
        leans = oracle.parse(turns[-2].content) is None and oracle.follow(turns[-2:-1]) is None
        if leans:
            count -= 1
            yield {"messages": [{"role": turn.role, "content": turn.content} for turn in turns]}


def translatable(count: int, *, held_out: bool) -> Iterable[dict[str, Any]]:
    """Tasks that the world also knows in French and Spanish: in English, or, held out, in those."""
    rng, seen = Random(f"foreign-{held_out}"), set()
    while len(seen) < count:
        english, foreign, _ = roles.draw_translatable(rng, held_out=held_out)
        part = foreign if held_out else english
        text = part.skill.render(part.wording, part.args)
        if text not in seen and not part.skill.halved:
            seen.add(text)
            yield {"instruction": text, "output": part.answer()}


def score(model: str, test: str = "test", exact: bool = False) -> Document:
    """``exact``: against the row's own answer; else by the oracle."""
    return {"use": "evaluation.exact_match", "from": test, "model": model} | ({} if exact else {"oracle": ORACLE})


def found(results: Outcome, *stages: str) -> Numbers:
    return {stage.removeprefix("score_"): results.results[stage].metrics["exact_match"] for stage in stages}


def filters(seed: int, run: Callable[[Document], Outcome], folder: Path) -> Numbers:
    novelty = {"use": "filters.dedup_rouge", "threshold": 0.7}
    grading = {"use": "filters.grade", "llm": "teacher", "expected": True, "min_score": 4.5}
    arms = {"all": "clean", "random": "graded.random", "graded": "graded", "deduped": "novel", "both": "both"}
    stages: Document = {
        "test": {"use": "sources.jsonl", "path": "seeds/tiny_test.jsonl"},
        **TASKS,
        "tasks": {**TASKS["tasks"], "count": 1000, "novelty": 1.0},
        "graded": {**grading, "from": "clean"},
        "novel": {**novelty, "from": "clean"},
        "both": {**novelty, "from": "graded"},
        "right": {
            "use": "evaluation.data_accuracy",
            "from": ["clean", "graded", "novel", "both"],
            "oracle": ORACLE,
        },
    }
    for arm, rows in arms.items():
        stages |= {f"sft_{arm}": {**SFT, "from": rows}, f"score_{arm}": score(f"sft_{arm}")}
    results = run({"stages": stages})
    right = results.results["right"].metrics
    kept = {f"{name} rows": results.results[name].kept for name in ("clean", "graded", "novel", "both")}
    return (
        found(results, *(f"score_{arm}" for arm in arms))
        | kept
        | {f"{name} right": right[name]["accuracy"] for name in ("clean", "graded", "novel", "both")}
    )


def evolve(seed: int, run: Callable[[Document], Outcome], folder: Path) -> Numbers:
    size = 1000
    stages = {
        "test": {"use": "sources.jsonl", "path": "seeds/tiny_test.jsonl"},
        "hard": {"use": "sources.jsonl", "path": write(folder / "hard.jsonl", hard_tests(800))},
        **TASKS,
        "some": {"use": "mixtures.blend", "from": {"clean": 1.0}, "size": size // 2},
        "evolved": {
            "use": "generators.evol_instruct",
            "llm": "teacher",
            "rounds": 2,
            "operations": ["add_constraints", "deepen", "breadth"],
        },
        "checked": {"use": "filters.decontaminate", "against": "test"},
        "fresh": {"use": "filters.decontaminate", "against": "hard"},
        "data_plain": {"use": "mixtures.blend", "from": {"clean": 1.0}, "size": size},
        "data_evolved": {"use": "mixtures.blend", "from": {"some": 0.5, "fresh": 0.5}, "size": size},
    }
    for arm in ("plain", "evolved"):
        stages |= {
            f"sft_{arm}": {**SFT, "from": f"data_{arm}"},
            f"score_{arm}_hard": score(f"sft_{arm}", "hard"),
            f"score_{arm}_all": score(f"sft_{arm}"),
        }
    results = run({"stages": stages})
    return found(results, *(f"score_{arm}_{test}" for test in ("hard", "all") for arm in ("plain", "evolved")))


def chat(seed: int, run: Callable[[Document], Outcome], folder: Path) -> Numbers:
    answers = 1000  # two or three a dialogue, hence 400 dialogues
    stages = {
        "test": {"use": "sources.jsonl", "path": "seeds/tiny_test.jsonl"},
        "follow": {"use": "sources.jsonl", "path": write(folder / "follow.jsonl", follow_up_tests(800))},
        **TASKS,
        "some": {"use": "mixtures.blend", "from": {"clean": 1.0}, "size": 500},
        "chats": {
            "use": "generators.self_chat",
            "llm": "teacher",
            "min_rounds": 2,
            "max_rounds": 3,
        },
        "data_chats": {"use": "mixtures.blend", "from": {"chats": 1.0}, "size": answers * 2 // 5},
        "data_single": {"use": "mixtures.blend", "from": {"clean": 1.0}, "size": answers},
    }
    for arm in ("single", "chats"):
        stages |= {
            f"sft_{arm}": {**SFT, "from": f"data_{arm}"},
            f"score_{arm}_follow": score(f"sft_{arm}", "follow", exact=True),
            f"score_{arm}_all": score(f"sft_{arm}"),
        }
    results = run({"stages": stages})
    return found(results, *(f"score_{arm}_{test}" for test in ("follow", "all") for arm in ("single", "chats")))


def translate(seed: int, run: Callable[[Document], Outcome], folder: Path) -> Numbers:
    english = write(folder / f"english-{seed}.jsonl", translatable(1200, held_out=False))
    stages: Document = {
        "foreign": {
            "use": "sources.jsonl",
            "path": write(folder / "foreign.jsonl", translatable(600, held_out=True)),
        },
        "english": {"use": "sources.jsonl", "path": english},
        "some": {"use": "mixtures.blend", "from": {"english": 1.0}, "size": 600},
        "answered": {"use": "generators.answer", "llm": "teacher", "sampling": {"temperature": 0.7}},
    }
    for order in ("answer_after", "translate_after"):
        stages |= {
            order: {
                "use": "generators.translate_answer",
                "from": "answered",
                "llm": "teacher",
                "languages": ["French", "Spanish"],
                "per_record": 2,
                "order": order,
            },
            f"data_{order}": {"use": "mixtures.blend", "from": {order: 1.0}, "size": 900},
            f"sft_{order}": {**SFT, "from": f"data_{order}"},
            f"score_{order}": score(f"sft_{order}", "foreign"),
        }
    right = {"use": "evaluation.data_accuracy", "from": ["answer_after", "translate_after"], "oracle": ORACLE}
    results = run({"stages": stages | {"right": right}})
    data = {
        f"{order} data right": results.results["right"].metrics[order]["accuracy"]
        for order in ("answer_after", "translate_after")
    }
    return found(results, "score_answer_after", "score_translate_after") | data


def prefer(seed: int, run: Callable[[Document], Outcome], folder: Path) -> Numbers:
    prompts = write(folder / f"prompts-{seed}.jsonl", open_tasks(f"prompts-{seed}", 4000))
    sampled = {
        "test": {"use": "sources.jsonl", "path": "seeds/tiny_test.jsonl"},
        **TASKS,
        "sft": {**SFT, "from": "clean"},
        "prompts": {"use": "sources.jsonl", "path": prompts},
        "sampled": {
            "use": "generators.answer",
            "llm": "sft",
            "samples": 4,
            "sampling": {"temperature": 1.2},
        },
    }
    judged = write(folder / f"pairs-{seed}.jsonl", pairs(run({"stages": sampled}).folders["sampled"] / "rows.jsonl"))
    batch = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1}
    ppo = {
        "use": "training.ppo",
        "from": "prompts",
        "base": "sft",
        "reward": "reward",
        "ppo_epochs": 2,
        "beta": 0.05,
        "args": {**batch, "learning_rate": 3e-4, "per_device_train_batch_size": 64, "max_completion_length": 48},
    }
    trained = {
        "book": {"use": "sources.jsonl", "path": write(folder / "book.jsonl", texts("book", 2000))},
        "pairs": {"use": "sources.jsonl", "path": judged},
        "reward": {
            "use": "training.reward",
            "from": "pairs",
            "base": "tiny-teacher",
            "eval_share": 0.2,
            "args": {**batch, "learning_rate": 5e-4, "num_train_epochs": 5},
        },
        "dpo": {
            "use": "training.dpo",
            "from": "pairs",
            "base": "sft",
            "args": {**batch, "learning_rate": 1e-4, "num_train_epochs": 2},
        },
        "ppo": ppo,
        "ppo_ptx": {**ppo, "pretrain": "book", "ptx_coef": 0.2},
    }
    models = ("sft", "dpo", "ppo", "ppo_ptx")
    results = run({"stages": {**sampled, **trained, **{f"score_{model}": score(model) for model in models}}})
    numbers = found(results, *(f"score_{model}" for model in models))
    numbers["pairs"] = results.results["pairs"].kept
    numbers["reward accuracy"] = results.results["reward"].metrics["accuracy"]
    folders = {model: results.folders[model] / "model" for model in (*models, "reward")}
    asked = [record.instruction for record in datagen.read(results.folders["test"] / "rows.jsonl")][:400]
    book = [row["prompt"] for row in texts("held out", 500)]
    numbers["base text loss"] = text_loss(Path(resolve("tiny-base")), book)
    for model in models:
        got = earned(folders[model], folders["sft"], folders["reward"], asked)
        numbers |= {f"{model} {name}": value for name, value in got.items()}
        numbers[f"{model} text loss"] = text_loss(folders[model], book)
    return numbers


def open_tasks(seed: str, count: int) -> Iterable[dict[str, Any]]:
    """Tasks that are not held out, without an answer: what users of the student would ask."""
    rng, seen = Random(seed), set()
    while len(seen) < count:
        item = world.draw(rng, novel=rng.random() < 0.5)
        if item.prompt not in seen:
            seen.add(item.prompt)
            yield {"prompt": item.prompt}


def pairs(sampled: Path) -> Iterable[dict[str, Any]]:
    """A right and a wrong answer to each prompt that got both: the oracle stands for InstructGPT's labellers."""
    for record in datagen.read(sampled):
        verdicts = {answer.content: oracle.check(record.instruction, answer.content) for answer in record.answers}
        right, wrong = ([text for text, verdict in verdicts.items() if verdict is said] for said in (True, False))
        if right and wrong:
            yield {"prompt": record.instruction, "chosen": right[0], "rejected": wrong[0]}


def texts(seed: str, count: int) -> list[dict[str, Any]]:
    rng = Random(seed)
    return [{"prompt": base_corpus.text(rng)} for _ in range(count)]


PARTS = {"filters": filters, "evolve": evolve, "chat": chat, "translate": translate, "prefer": prefer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--root", type=Path, default=Path("runs"))
    options = parser.parse_args()
    for name in options.parts or PARTS:
        rows = []
        for seed in range(options.first_seed, options.first_seed + options.seeds):

            def run(document: Document, name: str = name, seed: int = seed) -> Outcome:
                whole = {"name": f"{name}-{seed}", "seed": seed, "llms": LLMS, **document}
                return datagen.run(whole, root=options.root, progress=Progress.chosen(quiet=True))

            rows.append(PARTS[name](seed, run, options.root / "methods"))
            print(f"{name} seed {seed}: " + "  ".join(f"{k} {v:.3f}" for k, v in rows[-1].items()), flush=True)
        print(f"\n{name}, {len(rows)} seeds: mean (min to max)")
        for key in rows[0]:
            values = [row[key] for row in rows]
            print(f"  {key:<28} {statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")


if __name__ == "__main__":
    main()
