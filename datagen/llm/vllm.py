"""vLLM in this process: continuous batching on its async engine (Kwon et al., PagedAttention, arXiv 2309.06180).

Each request has its own seed, so a reply does not depend on what else was in its batch, but for the rounding of matrix
products (see ``transformers``). What sampling leaves open is chosen as vLLM's own server does: the model's
``generation_config.json``, and a reply as long as the context allows. Weights are read from safetensors only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import msgspec

from datagen.errors import ConfigError
from datagen.llm import models
from datagen.llm.base import Reply, Sampling
from datagen.llm.local_model import best_device, check_folder, check_template, digest, named
from datagen.llm.vllm_arguments import argument_names
from datagen.llm.vllm_engine import Engine, Settings
from datagen.record import Message
from datagen.stage import ModelName

# Engine arguments that say where and how fast replies are made, not what they are.
OPERATIONAL = frozenset(
    """
    aggregate_engine_logging async_scheduling block_size collect_detailed_traces cpu_offload_gb cpu_offload_params
    cudagraph_metrics data_parallel_address data_parallel_backend data_parallel_rpc_port data_parallel_size
    data_parallel_size_local device_ids disable_log_stats distributed_executor_backend distributed_timeout_seconds
    download_dir enable_chunked_prefill enable_log_requests enable_prefix_caching fully_sharded_loras
    gpu_memory_utilization kv_cache_memory_bytes kv_cache_metrics kv_offloading_backend kv_offloading_size log_level
    master_addr master_port max_cpu_loras max_logprobs max_num_batched_tokens max_num_scheduled_tokens
    max_parallel_loading_workers nnodes node_rank num_gpu_blocks_override numa_bind numa_bind_cpus numa_bind_nodes
    offload_backend offload_group_size offload_num_in_group offload_params offload_prefetch_step otlp_traces_endpoint
    prefix_caching_hash_algo renderer_num_workers safetensors_load_strategy safetensors_prefetch_block_size
    safetensors_prefetch_num_threads scheduling_policy shutdown_timeout stream_interval use_tqdm_on_load
    """.split()  # noqa: SIM905 (a list would be sixty lines)
)
_NOT_PASSED = {
    "max_num_seqs": "it is called concurrency here",
    "enable_lora": "lora: names the adapter",
    "hf_token": "a key does not go into a file; set the environment variable HF_TOKEN",
    "skip_tokenizer_init": "prompts are made of tokens here",
    "served_model_name": "answers are credited to model",
}
_UNSAFE_FORMATS = ("auto", "pt", "npcache")
# xgrammar allows any white space between JSON's tokens, and a model may then write nothing else until max_tokens.
_COMPACT_JSON = {"backend": "xgrammar", "disable_any_whitespace": True}
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


class VLLM:
    """The object behind ``vllm``. The engine starts, with a thread of its own, when the first request comes."""

    def __init__(self, settings: Settings, *, model: str, identity: dict[str, Any]) -> None:
        self.model = model
        self.concurrency = settings.arguments.get("max_num_seqs", 1024)  # more than it runs at once wait in its queue
        self._settings = settings
        self._identity = identity
        self._engine: Engine | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """The weights' and the adapter's digests, kind of device, and engine arguments but those of ``OPERATIONAL``."""
        return self._identity

    async def chat(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> Reply:
        """One reply.

        Raises:
            ConfigError: the engine does not start, or sampling that it does not take.
            LLMError: ``context_length``, ``chat_template``, or ``engine`` for a request that it gave up.
            StageError: the engine died.
        """
        if self._engine is None:
            self._engine = Engine(self._settings)
        return await self._engine.ask(messages, sampling, sample)

    async def close(self) -> None:
        """Stop the engine and its processes; requests under way fail."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await asyncio.to_thread(engine.close)


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where vLLM is not installed, or for an engine argument that it does not have."""
    _check_engine({key: value for key, value in arguments.items() if key not in _OWN})
    if arguments["lora"] is not None:
        _rank(Path(arguments["lora"]))


def vllm(
    *,
    model: ModelName,
    api: Literal["chat", "completions"] = "chat",
    lora: Path | None = None,
    concurrency: int | None = None,
    **engine: Any,
) -> VLLM:
    """A model in this process on vLLM's engine.

    ``api: completions`` gives it the messages' bare texts, for base models. ``lora`` is the folder of an adapter.
    ``concurrency`` (vLLM's ``max_num_seqs``) rows share a forward pass. All other keys are vLLM's engine arguments
    under their own names: ``tensor_parallel_size``, ``dtype``, ``max_model_len``, ``gpu_memory_utilization``, ...
    Scripts that call this need ``if __name__ == "__main__":``, since the engine runs in a process of its own.

    Raises:
        ConfigError: vLLM is not installed, an unknown engine argument, no such model, or one without safetensors, or
            without a chat template for ``api: chat``.
    """
    _check_engine(engine)
    path = models.resolve(model)
    if Path(path).is_dir():
        check_folder(model, Path(path))
        if api == "chat":
            check_template(model, Path(path))
    name, weights = named(model, path, engine.get("revision"))
    chosen = {"load_format": "safetensors", "structured_outputs_config": _COMPACT_JSON, **engine}
    if lora is not None:
        chosen = {"max_lora_rank": _rank(lora), **chosen, "enable_lora": True}
    identity = {
        "backend": "vllm",
        "weights": weights,
        "lora": digest(lora) if lora is not None else None,
        "device": best_device("vllm"),
        "api": api,
        "engine": {key: _content(value) for key, value in sorted(chosen.items()) if key not in OPERATIONAL},
    }
    if concurrency is not None:
        chosen["max_num_seqs"] = concurrency
    arguments = {"disable_log_stats": True, "use_tqdm_on_load": False, **chosen, "model": path}
    return VLLM(Settings(arguments, api, str(lora) if lora else ""), model=name, identity=identity)


_OWN = ("model", "api", "lora", "concurrency")


def _check_engine(engine: dict[str, Any]) -> None:
    names = argument_names()
    for key in engine:
        if key in _NOT_PASSED:
            raise ConfigError(f"{key}: cannot be set; {_NOT_PASSED[key]}")
        if key not in names:
            near = get_close_matches(key, [*_OWN, *names], 1)
            hint = f" (did you mean {near[0]!r}?)" if near else "; `vllm serve --help=all` lists them"
            raise ConfigError(f"unknown key {key!r}, which is no engine argument of this vLLM either{hint}")
    if engine.get("load_format") in _UNSAFE_FORMATS:
        raise ConfigError(f"load_format: {engine['load_format']}: may read pickles, which can hold code; leave it out")


def _rank(lora: Path) -> int:
    """The smallest rank that vLLM makes room for and that holds the adapter. Raises ``ConfigError``."""
    try:
        rank = int(msgspec.json.decode((lora / "adapter_config.json").read_bytes())["r"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"lora: {lora} holds no adapter_config.json with a rank ({error})") from error
    if not (lora / "adapter_model.safetensors").is_file():
        raise ConfigError(f"lora: {lora} holds no adapter_model.safetensors")
    if rank > _LORA_RANKS[-1]:
        raise ConfigError(f"lora: rank {rank}; vLLM takes at most {_LORA_RANKS[-1]}")
    return next(room for room in _LORA_RANKS if room >= rank)


def _content(value: Any) -> Any:
    """The value with folders (a tokenizer, a draft model) replaced by the digest of what they hold."""
    if isinstance(value, dict):
        return {key: _content(one) for key, one in value.items()}
    return digest(Path(value)) if isinstance(value, str) and value and Path(value).is_dir() else value
