"""Tasks of lm-eval on the real engine, offline."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import Cancelled, UsageError
from localkit.events import CancelToken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.evals.harnesses.lm_eval.model import LocalkitLM
    from localkit.kit import Kit


@pytest.fixture
def model(needs_lm_eval: None, kit: Kit) -> Iterator[LocalkitLM]:
    from localkit.evals.harnesses.lm_eval.model import LocalkitLM

    with LocalkitLM("tiny:f16", kit=kit, max_gen_toks=6) as model:
        yield model


def run(model: object, folder: Path, *names: str, **options: Any) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found: dict[str, Any] = simple_evaluate(
        model,
        tasks=list(names),
        task_manager=manager,
        bootstrap_iters=0,
        **options,
    )
    return found


def request(*args: object, kind: str = "loglikelihood") -> Any:
    from lm_eval.api.instance import Instance

    return Instance(kind, {}, args, 0)


def test_a_task_of_the_wheel_gets_the_log_likelihoods_of_the_engine(
    model: LocalkitLM, tasks: Path
) -> None:
    found = run(model, tasks, "arc")
    sample = found["samples"]["arc"][0]
    assert len(found["samples"]["arc"]) == 3
    session = model.session
    context = session.tokenize("Question: The capital of France is\nAnswer:")
    for (response,), text in zip(
        sample["resps"], ("Paris", "Rome", "a dog"), strict=True
    ):
        alone = session.tokenize(f" {text}")
        logits = list(session.logits([*context, *alone[:-1]], first=len(context) - 1))
        expected = 0.0
        rows = [row for block in logits for row in block]
        for row, token in zip(rows, alone, strict=True):
            expected += float(row[token] - row.max())
            expected -= math.log(float(sum(math.exp(x - row.max()) for x in row)))
        assert response[0] == pytest.approx(expected, abs=1e-3)
    assert found["config"]["model_sha"] == model.tokenizer_name


def test_the_prompt_of_an_item_is_computed_once_for_all_its_choices(
    model: LocalkitLM, tasks: Path
) -> None:
    before = model.session.activity.n_computed
    long = "The sun rises in the morning over the hills and the sea. " * 4
    choices = [" east", " west", " south", " north"]
    model.loglikelihood([request(long, choice) for choice in choices])
    n_computed = model.session.activity.n_computed - before
    n_prompt = len(model.tok_encode(long.rstrip()))
    n_choices = sum(len(model.session.tokenize(f" {one}")) for one in choices)
    assert n_prompt <= n_computed < n_prompt + n_choices


def test_the_order_of_the_items_changes_no_bit_of_a_score(model: LocalkitLM) -> None:
    requests = [
        request(f"{'word ' * n}The end of", ending)
        for n in range(12)
        for ending in (" the world", " it all")
    ]
    forward = model.loglikelihood(requests)
    assert model.loglikelihood(requests[::-1]) == forward[::-1]


def test_rolling_predicts_each_token_once_over_several_windows(
    needs_lm_eval: None, kit: Kit
) -> None:
    from localkit.evals.harnesses.lm_eval.model import LocalkitLM

    text = "The quick brown fox jumps over the lazy dog. " * 16
    with LocalkitLM("tiny:f16", kit=kit, n_ctx=256) as model:
        tokens = model.tok_encode(text)
        assert len(tokens) > 2 * model.max_length
        (found,) = model.loglikelihood_rolling([request(text, kind="…_rolling")])
        expected, at, n_ctx = 0.0, 0, model.max_length
        whole = [model.prefix_token_id, *tokens]
        while at < len(tokens):
            end = min(len(tokens), at + n_ctx)
            start = max(0, end - n_ctx)
            context, said = whole[start : at + 1], tokens[at:end]
            (score,) = model.session.score(context, [said])
            expected += float(score.logprobs.sum())
            at = end
    assert found == pytest.approx(expected, abs=1e-2)


def test_wikitext_and_gsm8k_run_as_the_wheel_defines_them(
    model: LocalkitLM, tasks: Path
) -> None:
    found = run(model, tasks, "wiki", "sums")
    assert found["results"]["wiki"]["word_perplexity,none"] > 1
    assert {"exact_match,strict-match", "exact_match,flexible-extract"} <= found[
        "results"
    ]["sums"].keys()
    # Random weights do not end an answer: the limit does, and that is counted.
    assert found["config"]["localkit"]["n_cut_answers"] == len(
        [one for one in found["samples"]["sums"] if one["filter"] == "strict-match"]
    )


def test_answers_side_by_side_are_those_of_each_prompt(model: LocalkitLM) -> None:
    from localkit.runtime.params import SamplingParams

    prompts = [f"Count {n}: one two" for n in range(6)]
    options = {"until": ["\n\n"], "max_gen_toks": 5, "do_sample": False}
    found = model.generate_until([request(prompt, options) for prompt in prompts])
    params = SamplingParams(temperature=0, top_k=0, top_p=1.0, max_tokens=5)
    alone = [
        model.session.stream(model.tok_encode(prompt), params).wait().text
        for prompt in prompts
    ]
    assert found == alone


def test_repeats_of_a_sampled_prompt_differ_and_come_again(model: LocalkitLM) -> None:
    options = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 6}
    requests = [request("Once upon a time", options)] * 4
    first = model.generate_until(requests)
    assert len(set(first)) > 1
    assert model.generate_until(requests) == first


def test_a_prompt_that_is_too_long_is_cut_counted_and_said(
    needs_lm_eval: None, kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    from localkit.evals.harnesses.lm_eval.model import LocalkitLM

    with LocalkitLM("tiny:f16", kit=kit, n_ctx=256) as model:
        model.loglikelihood([request("word " * 300, " end")])
        assert model.get_model_info()["localkit"]["n_cut_prompts"] == 1
        with pytest.raises(UsageError, match="n_ctx is 256"):
            model.generate_until([request("a", {"max_gen_toks": 256})])
    assert "lost their first tokens" in caplog.text


def test_control_texts_of_a_plain_task_are_characters(model: LocalkitLM) -> None:
    spelled = "<|im_end|>"
    control = model.session.control_tokens[spelled]
    assert control not in model.tok_encode(f"say {spelled}")
    text = model.apply_chat_template([{"role": "user", "content": "hi"}])
    assert control in model.tok_encode(text)
    assert text.endswith("<|im_start|>assistant\n")


def test_a_prefilled_answer_ends_where_it_ends(model: LocalkitLM) -> None:
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "The answer is "},
    ]
    text = model.apply_chat_template(history, add_generation_prompt=False)
    assert text.endswith("The answer is")


def test_a_chat_template_is_applied_where_the_task_is_run_with_it(
    model: LocalkitLM, tasks: Path
) -> None:
    found = run(model, tasks, "arc", apply_chat_template=True)
    (prompt, _) = found["samples"]["arc"][0]["arguments"][0]
    assert prompt.startswith("<|im_start|>user\n")
    with pytest.raises(UsageError, match="by name"):
        model.chat_template("other")
    assert model.chat_template(False) is None


def test_what_was_computed_is_handed_to_lm_evals_cache_as_it_ends(
    model: LocalkitLM,
) -> None:
    from lm_eval.api.model import CacheHook

    kept: dict[tuple[object, ...], object] = {}

    class Hook(CacheHook):
        def add_partial(self, attr: str, req: Any, res: Any) -> None:
            kept[(attr, *req[:1])] = res

    model.set_cache_hook(Hook(None))
    scores = model.loglikelihood([request("a b", " c")])
    texts = model.generate_until([request("go", {"max_gen_toks": 2})])
    rolled = model.loglikelihood_rolling([request("some text")])
    assert kept == {
        ("loglikelihood", "a b"): scores[0],
        ("generate_until", "go"): texts[0],
        ("loglikelihood_rolling", "some text"): rolled[0],
    }


def test_a_raised_token_stops_it(needs_lm_eval: None, kit: Kit) -> None:
    from localkit.evals.harnesses.lm_eval.model import LocalkitLM

    cancel = CancelToken()
    with LocalkitLM("tiny:f16", kit=kit, cancel=cancel) as model:
        cancel.cancel()
        with pytest.raises(Cancelled):
            model.loglikelihood([request("a b", " c")])


def test_lm_evals_own_models_can_be_found_beside_it(needs_lm_eval: None) -> None:
    # In a process that never asked lm-eval for a model before.
    code = (
        "import localkit.evals.harnesses.lm_eval.model\n"
        "from lm_eval.api.registry import get_model\n"
        "print(get_model('gguf').__name__, get_model('localkit').__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["GGUFLM", "LocalkitLM"], done.stderr


def test_lm_eval_finds_it_by_name_and_closing_unloads_it(
    needs_lm_eval: None, kit: Kit, tasks: Path
) -> None:
    from lm_eval.api.registry import get_model

    from localkit.evals.harnesses.lm_eval.model import LocalkitLM

    assert get_model("localkit") is LocalkitLM
    made = get_model("localkit").create_from_arg_string(
        "model=tiny:f16,n_ctx=256", {"batch_size": 1, "device": None}
    )
    assert made.max_length == 256
    made.close()
    assert made.session.closed


@pytest.mark.model
def test_a_real_model_knows_the_capital_of_france(
    needs_lm_eval: None, smollm2_gguf: Path, tasks: Path, kit: Kit
) -> None:
    from localkit.evals.harnesses.lm_eval.model import LocalkitLM

    kit.store.add(smollm2_gguf, "smollm2:q4_1")
    with LocalkitLM("smollm2:q4_1", n_ctx=512, kit=kit) as model:
        found = run(model, tasks, "arc", "wiki")
    assert found["samples"]["arc"][0]["acc"] == 1.0
    assert found["results"]["wiki"]["bits_per_byte,none"] < 2
