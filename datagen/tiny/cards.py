"""The model cards, written from what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import safe_open

from datagen.tiny.skills import SKILLS

_FRONT = """\
---
library_name: transformers
license: apache-2.0
language: en
tags: [synthetic-data, toy]
---
"""
_TEACHER = """\
# {name}

A wind tunnel: real machinery, small world. This Llama of {parameters:,} parameters ({megabytes:.1f} MB with its
tokenizer) was trained from scratch on a closed world of {skills} skills, so that data generation, filtering, grading
and training run for real, offline, in minutes, and so that an exact oracle can say what is right. It knows nothing
else: it declines what lies outside (not always), and it understands only the prompts of `prompts/tiny/` and their
trained rewordings. For data of real use, name a real model in the pipeline's `llms`.

Made by `python -m datagen.tiny.train teacher` on a CPU, from synthetic text alone; measured by
`python -m datagen.tiny.measure` on held-out arguments (one in eight, chosen by a hash, never trained on; of single
facts the pair of fact and wording). Greedy unless a temperature is named. One run; the numbers' own noise is about
0.01 where 1,600 tasks were asked and 0.03 where 300 were.
"""
_MADE = """\
## How these weights came about

Three stages on two shared CPU cores, 31 million tokens in all. First `train teacher --minutes 77` (3,759 steps, 18.3
million tokens), with each skill about equally often. Then `--refine`, stopped half way after 22 minutes; then `--refine
--minutes 66 --seed 2` (1,671 steps, 8.1 million tokens), on ten wordings of each role instead of six, typed with less
care. The script has learned in between (it now favours the hard skills and calibrates grades on the model's own words),
so a rerun is a fresh training that gives other weights. In all three, instructions of held-out sums, never with their
answers, could be shown for translation; it is closed now, and no test asks for sums.

## Tried and not offered

Critique and revision: 40 % of the verdicts on its own answers were right, and revised answers were right as often as
those before (0.78 and 0.77). No better than chance, so the pack has no prompt for them.
"""
_BASE = """\
# {name}

A wind tunnel's student: a Llama of {parameters:,} parameters ({megabytes:.1f} MB with its tokenizer), trained from
scratch on plain text about tiny-teacher's small world: statements ("the opposite of big is small."), and, one text in
four, reported talk ("Anna asked Ben: ... Ben said small."). It has seen no role mark, no chat turn and no instruction
to itself, so it answers none until it is trained on generated data.

Made by `python -m datagen.tiny.train base`; measured by `python -m datagen.tiny.measure` on held-out arguments.
"""
_ROLES = {
    "answers": "Answering",
    "dialogues": "Dialogues",
    "declines": "Declining",
    "propose": "Proposing tasks (`self_instruct/tasks`, 500 lines)",
    "instances": "Writing instances (`self_instruct/instances`, T=0.7)",
    "grade": "Grading its own answers of T=1 (`grade/accuracy`)",
    "compare": "Comparing two of its own answers of T=1, one right (`judge/pairwise`: grades each alone)",
    "compare_corrupted": "Comparing the right answer with a corrupted one",
    "evolve": "Evolving tasks (`evol_instruct/*`, T=0.7): valid and answerable",
    "translate": "Translating tasks (`translate/instruction`; only list and number skills have foreign wordings)",
    "self_chat": "Playing the user (`self_chat/user`)",
}


def _table(scores: dict[str, Any]) -> str:
    rows = "".join(f"| {name} | {value:.3f} |\n" for name, value in scores.items() if name != "pairs")
    return f"| measure | value |\n| --- | --- |\n{rows}"


def _facts(folder: Path) -> dict[str, Any]:
    with safe_open(folder / "model.safetensors", "pt") as file:
        parameters = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118  # no mapping
    size = sum(path.stat().st_size for path in folder.iterdir() if path.name != "README.md")
    return {"name": f"tiny-{folder.name}", "parameters": parameters, "megabytes": size / 1e6}


def _rewordings(result: dict[str, Any]) -> str:
    lines = [
        "| role | measure | shipped wording | three trained rewordings (mean) | a wording never trained |",
        "| --- | --- | --- | --- | --- |",
    ]
    for role, by_wording in result["rewordings"].items():
        for name, shipped in result[role].items():
            trained = [by_wording[wording][name] for wording in ("1", "2", "3") if name in by_wording[wording]]
            if trained:
                mean, unseen = sum(trained) / len(trained), by_wording[max(by_wording, key=int)][name]
                lines.append(f"| {role} | {name} | {shipped:.3f} | {mean:.3f} | {unseen:.3f} |")
    return "\n".join(lines)


def teacher_card(folder: Path, result: dict[str, Any]) -> str:
    """The teacher's card: every role's worth, the weakest skills, and what rewording a prompt costs."""
    by_skill = result["answers by skill"]
    parts = [_FRONT + _TEACHER.format(**_facts(folder), skills=len(SKILLS))]
    parts += [f"## {title}\n\n{_table(result[role])}" for role, title in _ROLES.items()]
    weakest = ", ".join(f"{name} {by_skill[name]:.2f}" for name in sorted(by_skill, key=by_skill.__getitem__)[:12])
    parts.append(f"## Weakest skills (held-out, T=0)\n\n{weakest}\n")
    parts.append(f"## Rewording the role prompts\n\n{_rewordings(result)}\n")
    return "\n".join([*parts, _MADE])


def base_card(folder: Path, scores: dict[str, Any]) -> str:
    """The base's card."""
    return f"{_FRONT}{_BASE.format(**_facts(folder))}\n{_table(scores)}"
