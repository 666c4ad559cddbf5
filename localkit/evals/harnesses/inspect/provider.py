"""The providers: a model of the store, as inspect_ai wants one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.to_thread import run_sync
from inspect_ai.model import GenerateConfig, ModelAPI, ModelOutput

from localkit.asking.answering import Answering, Question
from localkit.asking.many import each
from localkit.chat.answering import prepare
from localkit.chat.template_choice import choice_of
from localkit.errors import ContextTooLong, UsageError
from localkit.evals.harnesses.inspect.messages import (
    as_message,
    as_tool_choice,
    as_tools,
)
from localkit.evals.harnesses.inspect.output import as_output
from localkit.evals.harnesses.inspect.sampling import as_asked_for, thinks
from localkit.events import CancelToken
from localkit.kit import default_kit
from localkit.runtime.params import LoadParams

if TYPE_CHECKING:
    from collections.abc import Callable

    from inspect_ai.model import ChatMessage
    from inspect_ai.tool import ToolChoice, ToolInfo

    from localkit.asking.many import OnText, Work
    from localkit.chat.result import Result

T = TypeVar("T")


class LocalkitAPI(ModelAPI):
    """Answers through the model's own chat template.

    The weights are what is measured: nothing that the model brings along
    (instructions, parameters, adapters) is used.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - as inspect's own
        *,
        n_ctx: int | None = None,
        n_threads: int | None = None,
        n_gpu_layers: int | None = None,
        kv_type: str = "f16",
        flash_attn: bool | None = None,
        n_seq_max: int = 16,
        exact: bool = False,
    ) -> None:
        """Load the model for this evaluation alone, until `close`.

        The keywords are what ``-M`` takes: see `LoadParams`; ``exact`` computes each
        request apart from the others (design/025).

        Raises:
            ModelNotFound: no such ref.
            UsageError: a base URL was given.
            DoesNotFit: memory would not hold it.
        """
        super().__init__(model_name, base_url, api_key, [], config)
        if base_url is not None:
            msg = f"localkit runs models here, not at {base_url}"
            raise UsageError(msg, hint="take inspect's openai-api provider for a URL")
        kit = default_kit()
        self.stored = kit.resolve(model_name)
        params = LoadParams(
            n_ctx=n_ctx,
            n_threads=n_threads,
            n_gpu_layers=n_gpu_layers,
            kv_type=kv_type,
            flash_attn=flash_attn,
            n_seq_max=n_seq_max,
        )
        self.session = kit.load_apart(self.stored, params)
        self._exact = exact

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer in a thread; a prompt that is too long ends as ``model_length``."""
        return await self.in_thread(
            lambda cancel: self._answer(input, tools, tool_choice, config, cancel)
        )

    async def in_thread(self, work: Callable[[CancelToken], T]) -> T:
        """Return what ``work`` does in a thread; it is told when nobody waits."""
        cancel = CancelToken()
        try:
            return await run_sync(work, cancel, abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            cancel.cancel()
            raise

    def max_connections(self) -> int:
        """Return the slots of the engine."""
        return self.session.fingerprint.n_seq_max

    def connection_key(self) -> str:
        """Return what requests are counted by: the weights."""
        return self.stored.weights_digest

    def collapse_user_messages(self) -> bool:
        """Return True: many templates refuse two turns of one role."""
        return True

    def collapse_assistant_messages(self) -> bool:
        """Return True, for the same reason."""
        return True

    async def tokenize(self, text: str) -> list[int]:
        """Return the tokens of ``text``, BOS not among them."""
        return self.session.tokenize(text, add_special=False)

    async def count_text_tokens(self, text: str) -> int:
        """Return how many tokens ``text`` is: exact, not an estimate."""
        return len(await self.tokenize(text))

    def close(self) -> None:
        """Unload the model. May be called twice."""
        self.session.close()

    def _answer(
        self,
        messages: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
        cancel: CancelToken,
    ) -> ModelOutput:
        began = time.perf_counter()
        try:
            question = self._question(messages, tools, tool_choice, config)
            works = [
                self._work(question, config, nth)
                for nth in range(config.num_choices or 1)
            ]
            results = each(works, self.session, cancel=cancel)
        except ContextTooLong as error:
            return ModelOutput.from_content(
                self.model_name, "", stop_reason="model_length", error=error.one_line()
            )
        time_s = time.perf_counter() - began
        return as_output(self.model_name, results, self.session, time_s=time_s)

    def _work(
        self, question: Question, config: GenerateConfig, nth: int
    ) -> Work[Result]:
        asked = as_asked_for(config, exact=self._exact, nth=nth)

        def answer(cancel: CancelToken, _: OnText) -> Result:
            answering = Answering(self.stored, self.session, question, asked, cancel)
            return answering.wait()

        return answer

    def _question(
        self,
        messages: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> Question:
        asked = tuple(as_message(message) for message in messages)
        prepared = prepare(
            self.session,
            asked,
            tools=as_tools(tools),
            tool_choice=as_tool_choice(tool_choice) if tools else "auto",
            # Said in the notes of the output.
            tool_prompt=True,
            think=thinks(config),
            structured=config.response_schema is not None,
            choice=choice_of(self.stored),
        )
        return Question(prepared.tokens, prepared.text, asked, prepared)


class LocalkitRawAPI(LocalkitAPI):
    """Continues the text of one message as it is, for base models and perplexity."""

    def _question(
        self,
        messages: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> Question:
        """Return the text; control tokens spelled out in it take effect."""
        del config, tool_choice
        if tools or len(messages) != 1:
            found = "tools" if tools else f"{len(messages)} messages"
            msg = f"localkit-raw continues one message, and there are {found}"
            raise UsageError(msg, hint=f"take localkit/{self.model_name} for those")
        text = messages[0].text
        return Question(self.session.tokenize(text, parse_special=True), text)

    def collapse_user_messages(self) -> bool:
        """Return False: raw text is left as it is."""
        return False

    def collapse_assistant_messages(self) -> bool:
        """Return False, for the same reason."""
        return False
