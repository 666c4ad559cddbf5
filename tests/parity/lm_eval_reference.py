"""What lm-eval's own `hf` model gives, and how ours is held to it.

One llama with random weights in F32, of two layers, as a GGUF and as the folder of
transformers: the same numbers, and the same tokens of any text. On both, a task of
multiple choice and one of rolling log-likelihood, with texts longer than the context
of 512 tokens, so that both cut prompts and roll windows.

Write `lm_eval_reference.json` anew, where PyTorch, transformers, accelerate and
lm-eval are installed::

    python -m tests.parity.lm_eval_reference
"""

from __future__ import annotations

import datetime
import json
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.fixtures.gguf import F32, tiny_llama
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

COMMITTED = Path(__file__).with_name("lm_eval_reference.json")
TOLERANCE = 1e-3
"""Of a log-likelihood, in nats: what issue 5 asks for."""
N_CTX = 512
N_ITEMS = 12
N_TEXTS = 3
_HEADS, _HEADS_KV = 4, 2


def write_gguf(path: Path) -> Path:
    """Write the model as a GGUF."""
    path.write_bytes(tiny_llama(seed=5, type_id=F32, n_ctx_train=N_CTX).build())
    return path


def write_tasks(folder: Path) -> Path:
    """Write both tasks with their data, from the files that localkit ships."""
    with (ROOT / "evals/hellaswag/items.jsonl").open(encoding="utf-8") as lines:
        items = [
            json.loads(line) for _, line in zip(range(N_ITEMS), lines, strict=False)
        ]
    text = (ROOT / "evals/text/jargon-file/text.txt").read_text(encoding="utf-8")
    for item in items[-2:]:
        # These do not fit: both sides cut them.
        item["prompt"] = text[:600] + item["prompt"]
    (folder / "items.jsonl").write_text(
        "".join(f"{json.dumps(row)}\n" for row in items), encoding="utf-8"
    )
    texts = [text[1500 * place :][: 900 * (place + 1)] for place in range(N_TEXTS)]
    (folder / "texts.jsonl").write_text(
        "".join(f"{json.dumps({'page': page})}\n" for page in texts), encoding="utf-8"
    )
    tasks: dict[str, dict[str, Any]] = {
        "parity_choice": {
            "dataset_kwargs": {"data_files": {"test": str(folder / "items.jsonl")}},
            "output_type": "multiple_choice",
            "doc_to_text": "{{prompt}}",
            "doc_to_choice": "choices",
            "doc_to_target": "answer",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        },
        "parity_rolling": {
            "dataset_kwargs": {"data_files": {"test": str(folder / "texts.jsonl")}},
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "{{page}}",
            "metric_list": [{"metric": "byte_perplexity"}],
        },
    }
    for name, task in tasks.items():
        # JSON is YAML.
        whole = {"task": name, "dataset_path": "json", "test_split": "test", **task}
        (folder / f"{name}.yaml").write_text(json.dumps(whole), encoding="utf-8")
    return folder


def write_transformers(gguf_file: Path, folder: Path) -> Path:
    """Write the same weights and tokenizer as a folder of transformers."""
    import torch
    from gguf import GGUFReader
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    reader = GGUFReader(gguf_file)
    by_name = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    folder.mkdir()
    weights = {_their_name(name): _theirs(name, w) for name, w in by_name.items()}
    save_file(
        {name: torch.from_numpy(w.copy()) for name, w in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    n_vocab, n_embd = by_name["token_embd.weight"].shape
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=n_vocab,
        hidden_size=n_embd,
        intermediate_size=by_name["blk.0.ffn_gate.weight"].shape[0],
        num_hidden_layers=2,
        num_attention_heads=_HEADS,
        num_key_value_heads=_HEADS_KV,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        max_position_embeddings=N_CTX,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        torch_dtype="float32",
    ).save_pretrained(folder)
    tokens, merges = (
        reader.fields[f"tokenizer.ggml.{name}"].contents()
        for name in ("tokens", "merges")
    )
    made = Tokenizer(
        models.BPE(
            vocab={token: id_ for id_, token in enumerate(tokens)},
            merges=[tuple(merge.split()) for merge in merges],
        )
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token=tokens[0],
        bos_token=tokens[1],
        eos_token=tokens[2],
        pad_token=tokens[2],
    ).save_pretrained(folder)
    return folder


def _their_name(name: str) -> str:
    ends = {
        "token_embd": "model.embed_tokens",
        "output_norm": "model.norm",
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    parts = name.removesuffix(".weight").split(".")
    layer = f"model.layers.{parts[1]}." if parts[0] == "blk" else ""
    return f"{layer}{ends[parts[-1]]}.weight"


def _theirs(name: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undo the order of rows that llama.cpp's converter gives Q and K, for its rope."""
    heads = {"attn_q.weight": _HEADS, "attn_k.weight": _HEADS_KV}
    n_heads = next((n for end, n in heads.items() if name.endswith(end)), None)
    if n_heads is None:
        return weights
    n_out, n_in = weights.shape
    halves = weights.reshape(n_heads, n_out // n_heads // 2, 2, n_in)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(n_out, n_in))


def log_likelihoods(model: Any, tasks: Path) -> dict[str, list[float]]:
    """Return every log-likelihood that lm-eval logs, by task, in order."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    found = simple_evaluate(
        model,
        tasks=["parity_choice", "parity_rolling"],
        task_manager=manager,
        bootstrap_iters=0,
    )
    return {task: _logged(samples) for task, samples in found["samples"].items()}


def _logged(samples: list[Mapping[str, Any]]) -> list[float]:
    values = []
    for sample in samples:
        for (response,) in sample["resps"]:
            values.append(float(response[0] if np.ndim(response) else response))
    return values


def of_hf(folder: Path) -> dict[str, list[float]]:
    """Return what lm-eval's `hf` model gives, in F32 on the CPU."""
    from lm_eval.models.huggingface import HFLM

    gguf_file = write_gguf(folder / "tiny-F32.gguf")
    theirs = write_transformers(gguf_file, folder / "transformers")
    model = HFLM(pretrained=str(theirs), dtype="float32", device="cpu", batch_size=1)
    tasks = folder / "tasks"
    tasks.mkdir()
    return log_likelihoods(model, write_tasks(tasks))


def record() -> None:
    """Run it and write the file."""
    with tempfile.TemporaryDirectory() as name:
        found = of_hf(Path(name))
    packages = ("lm_eval", "torch", "transformers")
    reference = {
        "recipe": "tests/parity/lm_eval_reference.py: lm-eval's hf model, "
        "dtype=float32, device=cpu, batch_size=1",
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "versions": {package: metadata.version(package) for package in packages},
        "log_likelihoods": found,
    }
    COMMITTED.write_text(f"{json.dumps(reference, indent=1)}\n", encoding="utf-8")


if __name__ == "__main__":
    record()
