import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from datagen.training.metrics_log import MetricsLog, renamed


def test_one_thing_has_one_name_whichever_trainer_logs_it() -> None:
    assert renamed("rewards/accuracies") == renamed("accuracy") == "accuracy"
    assert renamed("rewards/margins") == "margin"
    assert renamed("eval_rewards/margins") == "eval_margin"
    assert renamed("eval_mean_token_accuracy") == "eval_token_accuracy"
    assert renamed("rewards/oracle/mean") == "rewards/oracle/mean"


def test_a_line_has_the_names_and_the_terminal_gets_what_the_method_has(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    log = MetricsLog(tmp_path / "metrics.jsonl", lambda event, **fields: said.append({"event": event, **fields}))
    state = SimpleNamespace(is_world_process_zero=True, global_step=3, max_steps=9, num_input_tokens_seen=0)
    log.on_train_begin(None, state, None)
    log.on_log(None, state, None, {"loss": 0.5, "rewards/accuracies": 0.75, "entropy": 2.0, "num_tokens": 640.0})
    (line,) = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert (line["step"], line["accuracy"], line["tokens"]) == (3, 0.75, 640)
    assert "rewards/accuracies" not in line
    (event,) = said
    assert {key: event[key] for key in ("loss", "entropy", "accuracy")} == {
        "loss": 0.5,
        "entropy": 2.0,
        "accuracy": 0.75,
    }
    assert "kl" not in event
    assert event["tokens_per_s"] > 0
