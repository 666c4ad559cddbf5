"""A block for a model card: Hugging Face's ``model-index``, and a table to read."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from localkit.evals.report import table
from localkit.evals.report.columns import overview
from localkit.evals.report.grid_markdown import grid_markdown
from localkit.render.as_markdown import code, inline

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison, Corpus, TaskUsed
    from localkit.evals.comparing.row import Quality, Row, TaskResult
    from localkit.evals.statistics.estimates import Estimate

# As escapes of JSON, which YAML knows too: what YAML takes for a line end or refuses,
# and what would be markup to a reader that does not know front matter.
_IN_YAML = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, *map(ord, "<>&["))
}


def model_card(comparison: Comparison) -> str:
    """Return YAML front matter with every candidate's figures, then a table.

    The form is the hub's (``model-index`` in its model card metadata): the text's or
    task's sha256 is the data set's revision, and each metric's ``args`` carry its 95 %
    interval, what it counts, and the reference.
    """
    setup = comparison.setup
    index = [
        {"name": f"{setup.model}-{row.label}", "results": results}
        for row in comparison.rows
        if (results := _results(comparison, row))
    ]
    front = f"---\n{_yaml({'model-index': index})}---\n\n" if index else ""
    chosen = [
        i for i, row in enumerate(comparison.rows) if row.label == comparison.pick
    ]
    cells = table.grid(comparison.rows, overview(comparison.rows)[:-1])
    return (
        f"{front}## Quants of {inline(setup.model)}, measured\n\n"
        f"{grid_markdown(cells, chosen)}\n\n"
        f"{_provenance(comparison)}\n"
    )


def _provenance(comparison: Comparison) -> str:
    """Return what a reader has to know to compare these figures with others."""
    setup, reference = comparison.setup, comparison.reference
    texts = [
        f"{corpus.name} ({corpus.n_tokens:,} tokens, {corpus.digest})"
        for corpus in setup.corpora
    ]
    tasks = [f"{task.name} (n={task.n_items}, {task.digest})" for task in setup.tasks]
    measured = [*texts, *tasks]
    lines = [
        "◇ reference, ★ not beaten in size, decode speed and KL at once; bpw: bits per "
        "weight, measured; ± and intervals: 95 %, paired with the reference",
        f"Reference: {reference.label}, {reference.weights_digest}",
        *([f"Measured on {'; '.join(measured)}"] if measured else []),
        f"{setup.fingerprint.get('engine', '?')} on "
        f"{setup.fingerprint.get('device', '?')}, {setup.measured[:10]}, localkit "
        f"{setup.version}, comparability key {setup.comparability}",
    ]
    told = "\n".join(f"- {inline(line)}" for line in lines)
    return f"{told}\n- Again: {code(setup.command)}"


def _results(comparison: Comparison, row: Row) -> list[dict[str, Any]]:
    corpora = {corpus.name: corpus for corpus in comparison.setup.corpora}
    parts = row.by_text
    if not parts and row.quality and len(corpora) == 1:
        parts = (row.quality,)
    found = [
        _of_text(comparison, row, part, corpora[part.text or next(iter(corpora))])
        for part in parts
        if (part.text or next(iter(corpora))) in corpora
    ]
    found += [_of_task(comparison, task) for task in row.tasks]
    return [result for result in found if result["metrics"]]


def _of_text(
    comparison: Comparison, row: Row, quality: Quality, corpus: Corpus
) -> dict[str, Any]:
    against = f"from {comparison.setup.reference}"
    args: dict[str, Any] = {"n_tokens": quality.n_tokens, "n_ctx": corpus.n_ctx}
    metrics = [_metric("perplexity", "Perplexity", quality.perplexity, args)]
    if not row.is_reference:
        args = args | {"reference": comparison.reference.weights_digest}
        metrics += [
            _metric(
                "kl_divergence",
                f"Mean KL divergence {against}, nats per token",
                quality.kld,
                args,
            ),
            _metric(
                "top_1_agreement",
                f"Top-1 agreement with {comparison.setup.reference}",
                quality.same_top,
                args,
            ),
        ]
    return {
        "task": {"type": "text-generation"},
        "dataset": _dataset(comparison, corpus.name, corpus.digest),
        "metrics": [metric for metric in metrics if metric],
    }


def _of_task(comparison: Comparison, task: TaskResult) -> dict[str, Any]:
    used = next((one for one in comparison.setup.tasks if one.name == task.name), None)
    metric = _metric(
        task.metric.lower().replace(" ", "_"),
        _metric_name(task, used),
        task.score,
        {"n_items": task.n_items, "n_unscored": task.n_unscored},
    )
    return {
        "task": {"type": "text-generation"},
        "dataset": _dataset(comparison, task.name, used.digest if used else ""),
        "metrics": [metric] if metric else [],
    }


def _metric_name(task: TaskResult, used: TaskUsed | None) -> str:
    """Return the metric; of ranked choices, what their likelihood is divided by."""
    ranked = task.metric == "accuracy" and used is not None and used.norm
    return f"accuracy ({used.norm})" if ranked and used else task.metric


def _dataset(comparison: Comparison, name: str, digest: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": name,
        **({"revision": digest} if digest else {}),
        "args": {"comparability": comparison.setup.comparability},
    }


def _metric(
    kind: str, name: str, estimate: Estimate, args: dict[str, Any]
) -> dict[str, Any] | None:
    """Return a figure with its interval; None for what was not scored."""
    if not math.isfinite(estimate.value):
        return None
    ends = {"low": estimate.low, "high": estimate.high}
    known = {key: end for key, end in ends.items() if math.isfinite(end)}
    value = {"type": kind, "name": name, "value": estimate.value}
    return value | {"args": known | args}


def _yaml(value: Any, indent: int = 0) -> str:
    """Return lists and dicts as YAML; text and numbers are written as in JSON."""
    pad = "  " * indent
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            lines.append(f"{pad}{key}:{_yaml_item(item, indent + 1)}")
    else:
        for item in value:
            body = _yaml(item, indent + 1)
            lines.append(f"{pad}- {body[len(pad) + 2 :]}")
    return "".join(lines)


def _yaml_item(item: Any, indent: int) -> str:
    if isinstance(item, dict | list) and item:
        return f"\n{_yaml(item, indent)}"
    text = json.dumps(item, ensure_ascii=False).translate(_IN_YAML)
    return f" {text}\n"
