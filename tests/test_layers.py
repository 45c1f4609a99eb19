"""The shape of the code: what may import what."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import datagen

ROOT = Path(datagen.__file__).parent
STAGES = ("sources", "generators", "filters", "mixtures", "training", "evaluation")
BASE = (
    "record",
    "errors",
    "document",
    "rng",
    "stage",
    "findings",
    "aio",
    "aside",
    "assets",
    "prompts",
    "zstd",
    "text",
    "llm",
)
HEAVY = {
    "torch",
    "trl",
    "transformers",
    "vllm",
    "ray",
    "datasets",
    "peft",
    "pyarrow",
    "sentence_transformers",
    "numba",
    "numpy",
    "sklearn",
}
# Stages' helpers and the tools that make the tiny models, run as programs of their own, are the places for these.
HEAVY_AT_IMPORT = {
    "datagen.llm.transformers",
    "datagen.llm.decoding",
    "datagen.llm.slot_cache",
    "datagen.llm.token_sampling",
    "datagen.text.join_index",
    "datagen.text.join_kernel",
    "datagen.text.machine_code",
    "datagen.text.ngram_kernel",
    "datagen.text.ngram_sets",
    "datagen.text.minhash_kernel",
    "datagen.text.minhash_numba",
    "datagen.text.jaccard_numba",
    "datagen.text.rouge_numba",
    "datagen.text.overlap_numba",
    "datagen.text.overlap_kernel",
    "datagen.text.vector_search",
}
MODULES = {
    ".".join(("datagen", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}


@functools.cache
def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imports(module: str, *, at_import: bool) -> set[str]:
    """The modules that a module imports, anywhere or only when it is itself imported (type checking aside)."""
    todo: list[ast.AST] = list(parsed(module).body)
    found: set[str] = set()
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        inside_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        type_checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not (at_import and (inside_function or type_checking)):
            todo.extend(ast.iter_child_nodes(node))
    return found


def group(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def test_the_core_imports_no_stage() -> None:
    core = [module for module in MODULES if group(module) not in (*STAGES, "tiny", "view")]
    wrong = {
        (m, i) for m in core for i in imports(m, at_import=False) if i.startswith("datagen.") and group(i) in STAGES
    }
    assert not wrong


def test_stages_import_the_base_layers_and_helpers_of_their_own_folder_and_no_stage() -> None:
    from datagen.plugins import stage_names

    stages = {f"datagen.{name}" for name in stage_names()}
    wrong = set()
    for module in (m for m in MODULES if group(m) in STAGES):
        for imported in imports(module, at_import=False) & MODULES.keys():
            own_helper = group(imported) == group(module) and imported not in stages
            if group(imported) and group(imported) not in (*BASE, "tiny") and not own_helper:
                wrong.add((module, imported))
    assert not wrong


def test_the_base_layers_do_not_know_the_runner() -> None:
    upper = {
        "plugins",
        "config",
        "pipeline",
        "references",
        "store",
        "keys",
        "binding",
        "runner",
        "cli",
        "commands",
        "one_stage",
    }
    base = [module for module in MODULES if group(module) in BASE]
    wrong = {(m, i) for m in base for i in imports(m, at_import=False) & MODULES.keys() if group(i) in upper}
    assert not wrong


def test_there_is_no_import_circle() -> None:
    graph = {module: imports(module, at_import=True) & MODULES.keys() - {module} for module in MODULES}
    while graph:
        leaves = {module for module, needed in graph.items() if not needed & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {module: needed for module, needed in graph.items() if module not in leaves}


def test_heavy_packages_are_imported_only_inside_the_file_that_needs_them() -> None:
    wrong = set()
    for module in MODULES:
        if module in HEAVY_AT_IMPORT or group(module) in ("tiny", "training"):
            continue
        wrong |= {(module, i) for i in imports(module, at_import=True) if i.partition(".")[0] in HEAVY}
    assert not wrong


def test_no_stage_imports_anything_heavy_when_it_is_found() -> None:
    code = (
        "import sys; from datagen.plugins import load_stage, stage_names; [load_stage(n) for n in stage_names()];"
        f"print(sorted(set(sys.modules) & {HEAVY!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_help_text_needs_nothing_beyond_the_standard_library() -> None:
    code = (
        "import sys; from datagen.cli import _parser; _parser().format_help();"
        "print([m for m in sys.modules if m.partition('.')[0] in"
        " ('torch', 'jinja2', 'msgspec', 'yaml', 'rich', 'aiohttp', 'orjson', 'backports', 'sqlite3', 'asyncio')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
