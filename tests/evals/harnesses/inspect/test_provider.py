"""inspect_ai on the real engine, offline."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import ModelNotFound, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.events import CancelToken
    from localkit.kit import Kit

# inspect calls what its own dependencies deprecate, and leaves streams unclosed.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def get_model(name: str = "localkit/tiny:f16", **arguments: Any) -> Any:
    # Its module is what the entry point names.
    from inspect_ai.model import get_model

    import localkit.evals.harnesses.inspect.registry  # noqa: F401

    return get_model(name, memoize=False, n_threads=1, **arguments)


def generate(model: Any, *messages: Any, tools: Any = (), **config: Any) -> Any:
    from inspect_ai.model import GenerateConfig

    tool_choice = config.pop("tool_choice", None)
    asked = model.generate(
        list(messages) if not isinstance(messages[0], str) else messages[0],
        tools=list(tools),
        tool_choice=tool_choice,
        config=GenerateConfig(**config),
    )
    return asyncio.run(asked)


def run(task: Any, model: Any, folder: Path) -> Any:
    from inspect_ai import eval as evaluate

    (log,) = evaluate(task, model=model, log_dir=str(folder), display="none")
    assert log.status == "success", log.error
    return log


def test_an_answer_brings_its_tokens_figures_and_receipt(kit: Kit) -> None:
    model = get_model()
    output = generate(
        model, "hello", max_tokens=4, seed=7, temperature=0.5, logprobs=True,
        top_logprobs=3,
    )  # fmt: skip
    choice = output.choices[0]
    assert output.usage.output_tokens == 4
    assert output.stop_reason == "max_tokens"
    assert len(choice.logprobs.content) == 4
    assert "".join(one.token for one in choice.logprobs.content) == output.completion
    assert all(len(one.top_logprobs) == 3 for one in choice.logprobs.content)
    (receipt,) = output.metadata["receipts"]
    assert receipt["weights_digest"] == kit.resolve("tiny:f16").weights_digest
    assert (receipt["params"]["seed"], receipt["of_model"]) == (7, ())
    again = generate(model, "hello", max_tokens=4, seed=7, temperature=0.5)
    assert again.completion == output.completion
    model.api.close()


def test_the_log_probabilities_of_a_prompt_are_those_of_the_engine(kit: Kit) -> None:
    model = get_model("localkit-raw/tiny:f16")
    text = "The quick brown fox jumps over the lazy dog."
    output = generate(model, text, max_tokens=1, prompt_logprobs=2)
    found = output.choices[0].prompt_logprobs.content
    session = model.api.session
    tokens = session.tokenize(text)
    (score,) = session.score(tokens[:1], [tokens[1:]])
    assert [one.logprob for one in found] == pytest.approx(
        list(score.logprobs), abs=1e-3
    )
    assert all(len(one.top_logprobs) == 2 for one in found)
    assert output.metadata["receipts"][0]["exact"]
    model.api.close()


def test_an_answer_has_the_form_of_the_response_schema(kit: Kit) -> None:
    from inspect_ai.model import ResponseSchema
    from inspect_ai.util import JSONSchema

    schema = JSONSchema(
        type="object",
        properties={"colour": JSONSchema(type="string", enum=["red", "blue"])},
        required=["colour"],
        additionalProperties=False,
    )
    model = get_model()
    output = generate(
        model,
        "Name a colour.",
        max_tokens=64,
        response_schema=ResponseSchema(name="answer", json_schema=schema),
    )
    assert json.loads(output.completion)["colour"] in {"red", "blue"}
    model.api.close()


def test_a_tool_is_called_and_its_result_read(kit: Kit) -> None:
    from inspect_ai.model import ChatMessageTool, ChatMessageUser
    from inspect_ai.tool import ToolFunction, ToolInfo, ToolParams
    from inspect_ai.util import JSONSchema

    tool = ToolInfo(
        name="add",
        description="Add two digits.",
        parameters=ToolParams(
            properties={
                "x": JSONSchema(type="integer", enum=[1, 2]),
                "y": JSONSchema(type="integer", enum=[1, 2]),
            },
            required=["x", "y"],
        ),
    )
    model = get_model(n_ctx=1024)
    asked = ChatMessageUser(content="1+2?")
    output = generate(
        model, asked, tools=[tool], tool_choice=ToolFunction(name="add"), max_tokens=200
    )
    (call,) = output.message.tool_calls
    assert call.function == "add"
    assert output.stop_reason == "tool_calls"
    result = ChatMessageTool(content="3", function="add", tool_call_id=call.id)
    after = generate(model, asked, output.message, result, tools=[tool], max_tokens=3)
    assert after.usage.output_tokens == 3
    model.api.close()


def test_several_choices_differ_by_their_seeds(kit: Kit) -> None:
    model = get_model()
    output = generate(model, "go", num_choices=3, seed=1, temperature=1.5, max_tokens=8)
    seeds = [one["params"]["seed"] for one in output.metadata["receipts"]]
    assert seeds == [1, 2, 3]
    assert len({choice.message.text for choice in output.choices}) > 1
    model.api.close()


def test_a_prompt_that_is_too_long_ends_as_inspect_expects(kit: Kit) -> None:
    model = get_model(n_ctx=256)
    output = generate(model, "word " * 400, max_tokens=4)
    assert output.stop_reason == "model_length"
    assert "n_ctx" in output.error
    model.api.close()


def test_raw_text_is_one_message(kit: Kit) -> None:
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser

    model = get_model("localkit-raw/tiny:f16")
    with pytest.raises(UsageError, match="2 messages"):
        generate(
            model, ChatMessageSystem(content="a"), ChatMessageUser(content="b"),
            max_tokens=1,
        )  # fmt: skip
    model.api.close()


def test_what_the_engine_does_not_do_is_refused(kit: Kit) -> None:
    model = get_model()
    with pytest.raises(UsageError, match="best_of"):
        generate(model, "hi", best_of=3)
    with pytest.raises(UsageError, match="no option 'min_q'"):
        generate(model, "hi", extra_body={"min_q": 1})
    with pytest.raises(ModelNotFound):
        get_model("localkit/nothing:here")
    with pytest.raises(UsageError, match="not at http"):
        get_model(base_url="http://127.0.0.1:1")
    model.api.close()


def test_it_counts_tokens_as_the_engine_does(kit: Kit) -> None:
    model = get_model()
    count = asyncio.run(model.api.count_text_tokens("hello world"))
    assert count == len(model.api.session.tokenize("hello world", add_special=False))
    assert model.api.max_connections() == 16
    model.api.close()


def test_an_answer_that_nobody_waits_for_is_stopped(kit: Kit) -> None:
    import anyio

    model = get_model()
    told = threading.Event()

    def work(cancel: CancelToken) -> None:
        while not cancel.cancelled:
            time.sleep(0.005)
        told.set()

    async def give_up() -> None:
        with anyio.move_on_after(0.1):
            await model.api.in_thread(work)

    asyncio.run(give_up())
    assert told.wait(10)
    model.api.close()


def test_a_task_on_data_of_the_wheel_runs_and_is_scored(
    kit: Kit, tmp_path: Path
) -> None:
    from inspect_ai import Task
    from inspect_ai.dataset import example_dataset
    from inspect_ai.model import GenerateConfig
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate as answer

    task = Task(
        dataset=example_dataset("theory_of_mind")[:3],
        solver=answer(),
        scorer=match(),
        config=GenerateConfig(max_tokens=4, temperature=0, seed=1),
    )
    log = run(task, get_model(), tmp_path)
    assert log.results.completed_samples == 3
    assert log.results.scores[0].metrics["accuracy"].value == 0
    assert log.eval.model == "localkit/tiny:f16"


def test_inspects_own_perplexity_is_the_exponential_of_ours(
    kit: Kit, tmp_path: Path
) -> None:
    import math

    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig
    from inspect_ai.scorer import perplexity

    texts = ["The quick brown fox jumps.", "Paris is a city in France, and large."]
    task = Task(
        dataset=[Sample(input=text) for text in texts],
        scorer=perplexity(),
        config=GenerateConfig(max_tokens=1, prompt_logprobs=1),
    )
    model = get_model("localkit-raw/tiny:f16")
    session = model.api.session
    nats, n_tokens = 0.0, 0
    for text in texts:
        tokens = session.tokenize(text)
        (score,) = session.score(tokens[:1], [tokens[1:]])
        nats -= float(score.logprobs.sum())
        n_tokens += len(score.logprobs)
    log = run(task, model, tmp_path)
    (found,) = [
        metric.value
        for score in log.results.scores
        for name, metric in score.metrics.items()
        if name == "perplexity_per_token"
    ]
    assert found == pytest.approx(math.exp(nats / n_tokens), rel=1e-3)


def test_multiple_choice_takes_the_likeliest_ending(kit: Kit, tmp_path: Path) -> None:
    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import choice

    from localkit.evals.harnesses.inspect.choosing import loglikelihood

    model = get_model()
    session = model.api.session
    ends = ["the sea", "a hill of sand", "that"]
    context = session.tokenize("We walked to")
    scores = session.score(context, [session.tokenize(f" {end}") for end in ends])
    best = max(range(3), key=lambda at: scores[at].logprobs.sum() / len(ends[at]))
    task = Task(
        dataset=[Sample(input="We walked to", choices=ends, target="ABC"[best])],
        solver=loglikelihood(),
        scorer=choice(),
    )
    log = run(task, model, tmp_path)
    assert log.results.scores[0].metrics["accuracy"].value == 1
    (sample,) = log.samples
    assert sample.output.metadata["norm"] == "char"
    assert sample.output.metadata["logprobs"] == pytest.approx(
        [float(score.logprobs.sum()) for score in scores], abs=1e-2
    )


@pytest.mark.model
def test_a_real_model_answers_and_chooses(
    kit: Kit, smollm2_gguf: Path, tmp_path: Path
) -> None:
    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig
    from inspect_ai.scorer import choice, includes

    from localkit.evals.harnesses.inspect.choosing import loglikelihood

    kit.store.add(smollm2_gguf, "smollm2:q4_1")
    model = get_model("localkit/smollm2:q4_1", n_ctx=512)
    asked = Task(
        dataset=[Sample(input="Name the capital of France. One word.", target="Paris")],
        scorer=includes(),
        config=GenerateConfig(max_tokens=12, temperature=0),
    )
    chosen = Task(
        dataset=[
            Sample(input="The capital of France is", choices=["Rome.", "Paris."],
                   target="B"),
        ],
        solver=loglikelihood(),
        scorer=choice(),
    )  # fmt: skip
    for task in (asked, chosen):
        log = run(task, model, tmp_path)
        assert log.results.scores[0].metrics["accuracy"].value == 1
    model.api.close()
