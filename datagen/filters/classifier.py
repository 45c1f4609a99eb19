"""Keep the rows that a cheap classifier, trained on a few hundred grades, takes for good, as Phi-1 does.

A strong grader labels a sample, and the classifier says of all rows how likely they are good (arXiv 2306.11644).
Deviation: logistic regression, on hashed n-grams or sentence embeddings, where Phi-1 has a random forest on a code
model's embeddings.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from datagen import findings
from datagen.errors import ConfigError
from datagen.filters.selection import Limits, Selection, check_one_limit, check_share, report
from datagen.record import Record
from datagen.stage import ModelName, Rows
from datagen.text.encoder import Encoder
from datagen.text.local_scores import blocks
from datagen.text.words import Scope, scoped

_FOLDS = 5
_FEATURES = 2**18


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for both limits at once, and for values out of range."""
    check_one_limit("classifier", min_score=arguments["min_score"], keep_top=arguments["keep_top"])
    check_share("classifier: keep_top", arguments["keep_top"])
    if arguments["min_score"] is not None and not 0 <= arguments["min_score"] <= 1:
        raise ConfigError(f"classifier: min_score: {arguments['min_score']} is no probability")


def classifier(
    records: Iterable[Record],
    *,
    labels: Rows,
    rng: random.Random,
    by: str = "accuracy",
    good: float = 4.5,
    model: ModelName | None = None,
    of: Scope = "all",
    min_score: float | None = None,
    keep_top: float | None = None,
    device: str = "auto",
    control: bool = True,
) -> Iterator[Record]:
    """Records that are good with a probability of ``min_score`` (0.5) or more, or the likeliest ``keep_top`` share.

    The probability is kept as the score ``classifier``. ``labels`` are rows whose first answer has the score ``by``,
    good ones ``good`` or more, and bad ones among them: a stage of ``filters.grade`` with ``min_score: 0``. The part
    ``of`` a record is read, as hashed word 1- and 2-grams and character 2- to 5-grams, or as embeddings by ``model``, a
    sentence-transformers model. The metrics are of labelled rows that the classifier did not see (five folds): ``auc``,
    ``accuracy``, and the ``majority`` share that saying always the same would reach. The labelled rows themselves it
    has seen, if they are among the records. ``keep_top`` and ``control`` (as in ``grade``) hold all rows.

    Raises:
        ConfigError: labels without the score, or fewer than five rows of a kind.
    """
    check({"min_score": min_score, "keep_top": keep_top})
    limits = Limits(share=keep_top) if keep_top is not None else Limits(0.5 if min_score is None else min_score)
    selection = Selection("classifier", limits, rng if control else None)
    probabilities = None
    for block in blocks(records):
        probabilities = probabilities or _trained(labels, by, good, _features(model, device), of, rng)
        found = probabilities([scoped(record, of) for record in block])
        for record, probability in zip(block, found, strict=True):
            yield from selection.take(*_scored(record, probability))
    yield from selection.rest()
    report("classifier", score=selection.distribution.deciles())


def _scored(record: Record, probability: float) -> tuple[Record, float | None]:
    if not record.answers:
        return record.drop("classifier:no_answer"), None
    value = round(probability, 4)
    best = record.answers[0].scored("classifier", value)
    return msgspec.structs.replace(record, answers=(best, *record.answers[1:])), value


def _trained(
    labels: Rows, by: str, good: float, features: Callable[[Sequence[str]], Any], of: Scope, rng: random.Random
) -> Callable[[Sequence[str]], list[float]]:
    """The probability of being good, for texts; notes how good it is on what it did not see."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    graded = [row for row in labels if row.answers and by in row.answers[0].scores]
    is_good = [row.answers[0].scores[by] >= good for row in graded]
    good_rows = sum(is_good)
    if min(good_rows, len(graded) - good_rows) < _FOLDS:
        raise ConfigError(
            f"classifier: labels: {len(graded)} rows have the score {by!r}, {good_rows} of them {good:g} or more; "
            f"it takes {_FOLDS} of either kind (grade a sample with min_score: 0, so that the bad ones stay)"
        )
    seen = features([scoped(row, of) for row in graded])
    model = LogisticRegression(C=10.0, max_iter=1000)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=rng.getrandbits(32))
    held_out = cross_val_predict(model, seen, is_good, cv=folds, method="predict_proba")[:, 1]
    right = sum(bool(one >= 0.5) == truth for one, truth in zip(held_out, is_good, strict=True))
    findings.report(
        {
            "auc": round(float(roc_auc_score(is_good, held_out)), 4),
            "accuracy": round(right / len(graded), 4),
            "majority": round(max(good_rows, len(graded) - good_rows) / len(graded), 4),
            "labelled_rows": len(graded),
        }
    )
    model.fit(seen, is_good)
    return lambda texts: [float(one) for one in model.predict_proba(features(texts))[:, 1]]


def _features(model: str | None, device: str) -> Callable[[Sequence[str]], Any]:
    """Texts to a matrix, a row each. Raises ``ConfigError``."""
    if model is not None:
        return Encoder(model, revision=None, device=device, batch_size=64)
    try:
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.pipeline import make_union
    except ImportError as error:
        raise ConfigError(f"classifier: {error}; run: pip install 'datagen[classifier]'") from error
    words = HashingVectorizer(ngram_range=(1, 2), n_features=_FEATURES, token_pattern=r"(?u)\S+")
    letters = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5), n_features=_FEATURES)
    return make_union(words, letters).transform  # type: ignore[no-any-return]
