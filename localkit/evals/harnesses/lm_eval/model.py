"""LocalkitLM: a model of the store, as lm-evaluation-harness wants one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self, TypeVar

# lm-eval registers its own models once nothing is registered: ours would hide them.
import lm_eval.models  # noqa: F401 - for that effect
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from localkit.chat.messages import as_messages
from localkit.chat.prompt import chat_tokens, equipment
from localkit.chat.template_choice import choice_of
from localkit.errors import Cancelled, RuntimeFailure, Unsupported, UsageError
from localkit.evals.harnesses.lm_eval.generating import sampling
from localkit.evals.harnesses.lm_eval.grouping import grouped
from localkit.evals.harnesses.lm_eval.side_by_side import each_ended
from localkit.kit import Kit, default_kit
from localkit.runtime.params import LoadParams, ServeParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from lm_eval.api.instance import Instance

    from localkit.asking.many import OnText, Work
    from localkit.evals.harnesses.lm_eval.grouping import Encoded, Group
    from localkit.events import CancelToken, OnProgress
    from localkit.runtime.protocol import ContinuationScore, Generation

_log = logging.getLogger(__name__)

T = TypeVar("T")


@register_model("localkit")
class LocalkitLM(TemplateLM):
    """A model of the store. Importing this module makes it known to lm-eval.

    The weights are what is measured: nothing that the model brings along
    (instructions, parameters, adapters) is used.
    """

    def __init__(
        self,
        model: str,
        *,
        n_ctx: int | None = None,
        n_threads: int | None = None,
        n_gpu_layers: int | None = None,
        kv_type: str = "f16",
        flash_attn: bool | None = None,
        n_seq_max: int = 16,
        exact: bool = True,
        seed: int = 1234,
        max_gen_toks: int = 256,
        batch_size: int | str | None = None,
        kit: Kit | None = None,
        on_progress: OnProgress | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        """Load the model for this evaluation alone, until `close`.

        Args:
            model: A model ref, as ``localkit list`` shows it.
            n_ctx: Context length in tokens; default: the training context, at most
                what the settings allow. Longer contexts lose their first tokens.
            n_threads: Engine threads; default: chosen from what the machine has free.
            n_gpu_layers: Layers on a GPU; default: as many as fit; -1: all.
            kv_type: Type of the KV cache.
            flash_attn: Default: llama.cpp decides. Off and with ``kv_type="f32"``,
                weights in F32 give what transformers gives (design/040).
            n_seq_max: Slots: answers that are written side by side.
            exact: Score each context alone, so that no other request changes a bit of
                the result (design/025); measured to cost 5 to 10 %. Answers are
                written side by side all the same.
            seed: Of answers that are sampled; the second to the same prompt takes the
                next one.
            max_gen_toks: Most tokens of an answer where the task does not say.
            batch_size: Taken because lm-eval passes it; the slots are the batch.
            kit: Where the store is; default: the process's kit.
            on_progress: Told how far it is; default: a bar on standard error.
            cancel: Raise it to stop.

        Raises:
            ModelNotFound: no such ref.
            DoesNotFit: memory would not hold it.
            LoadFailed: the engine refuses it.
        """
        super().__init__()
        del batch_size
        kit = kit or default_kit()
        self._stored = kit.resolve(model, cancel=cancel)
        params = LoadParams(
            n_ctx=n_ctx,
            n_threads=n_threads,
            n_gpu_layers=n_gpu_layers,
            kv_type=kv_type,
            flash_attn=flash_attn,
            n_seq_max=n_seq_max,
        )
        self.session = kit.load_apart(self._stored, params, cancel=cancel)
        self._serve = ServeParams(exact=exact)
        self._seed = seed
        self._max_gen_toks = max_gen_toks
        self._on_progress = on_progress
        self._cancel = cancel
        self._templated = False
        self.n_cut_prompts = 0
        """Contexts that lost their first tokens, so far."""
        self.n_cut_answers = 0
        """Answers that ended at their limit of tokens, so far."""

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text, else the one that begins one."""
        for token in (self.session.eos, self.session.bos):
            if token is not None:
                return token
        msg = f"the vocabulary of {self._stored.ref} has no token that ends a text"
        raise Unsupported(msg, hint="convert the model again with its tokenizer")

    @property
    def prefix_token_id(self) -> int:
        """What an empty context becomes: BOS, else the token that ends a text."""
        bos = self.session.bos
        return self.eot_token_id if bos is None else bos

    @property
    def max_length(self) -> int:
        """Context length in tokens."""
        return self.session.n_ctx

    @property
    def max_gen_toks(self) -> int:
        """Most tokens of an answer where the task does not say."""
        return self._max_gen_toks

    @property
    def tokenizer_name(self) -> str:
        """sha256 of the weights, so that caches of prompts are not shared."""
        return self._stored.weights_digest

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: object
    ) -> list[int]:
        """Return tokens; BOS where the tokenizer adds one and the text has none.

        Control tokens that are spelled out take effect only once a chat template was
        applied: in a plain task they are characters that somebody wrote.
        """
        session = self.session
        if add_special_tokens is None and session.bos is not None:
            begins = session.detokenize([session.bos], special=True)
            add_special_tokens = not (begins and string.startswith(begins))
        return session.tokenize(
            string,
            add_special=add_special_tokens is not False,
            parse_special=self._templated,
        )

    def tok_decode(self, tokens: Sequence[int], **_: object) -> str:
        """Return the text of tokens, without control tokens."""
        return self.session.detokenize(tokens)

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Return Σ ln p of each continuation, and whether it is the likeliest."""
        found: list[tuple[float, bool]] = super().loglikelihood(
            requests, disable_tqdm=disable_tqdm or self._on_progress is not None
        )
        return found

    def _loglikelihood_tokens(
        self,
        requests: Sequence[Encoded],
        disable_tqdm: bool = False,
        **_: object,
    ) -> list[tuple[float, bool]]:
        """Score continuations that share a context behind one computation of it."""
        groups, n_cut = grouped(
            requests, n_ctx=self.max_length, prefix=self.prefix_token_id
        )
        self._say_cut(n_cut)
        results = [(0.0, True)] * len(requests)

        def work(group: Group) -> Work[list[ContinuationScore]]:
            def score(cancel: CancelToken, _: OnText) -> list[ContinuationScore]:
                return self.session.score(
                    group.context,
                    group.continuations,
                    serve=self._serve,
                    cancel=cancel,
                )

            return score

        works = [work(group) for group in groups]
        for index, scores in self._each(works, "log-likelihoods", quiet=disable_tqdm):
            for score, places in zip(scores, groups[index].places, strict=True):
                found = float(score.logprobs.sum()), bool(score.is_greedy)
                for place in places:
                    results[place] = found
                    key = requests[place][0]
                    if key is not None:
                        self.cache_hook.add_partial("loglikelihood", key, found)
        return results

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Return Σ ln p of each text, in windows that predict each token once."""
        windows: list[Encoded] = []
        owners: list[int] = []
        for place, request in enumerate(requests):
            pairs = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            made = [(None, *make_disjoint_window(pair)) for pair in pairs]
            windows += made
            owners += [place] * len(made)
        scores = self._loglikelihood_tokens(windows, disable_tqdm=disable_tqdm)
        totals = [0.0] * len(requests)
        for place, (logprob, _) in zip(owners, scores, strict=True):
            totals[place] += logprob
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[str]:
        """Return the answer to each prompt, written side by side in the slots."""
        seeds: dict[str, int] = {}
        n_cut = 0

        def work(request: Instance) -> Work[Generation]:
            nonlocal n_cut
            context, options = request.args
            # Repeats of a sampled request must not all get the same answer.
            nth = seeds[context] = seeds.get(context, -1) + 1
            params = sampling(
                options, seed=self._seed + nth, max_gen_toks=self._max_gen_toks
            )
            room = self.max_length - (params.max_tokens or 0)
            if room < 1:
                msg = (
                    f"the task writes up to {params.max_tokens} tokens and n_ctx is "
                    f"{self.max_length}"
                )
                raise UsageError(msg, hint="give a larger n_ctx, or max_gen_toks")
            tokens = self.tok_encode(context) or [self.prefix_token_id]
            n_cut += len(tokens) > room

            def write(cancel: CancelToken, _: OnText) -> Generation:
                stream = self.session.stream(tokens[-room:], params, cancel=cancel)
                return stream.wait()

            return write

        works = [work(request) for request in requests]
        self._say_cut(n_cut)
        texts = [""] * len(requests)
        for place, generation in self._each(works, "answers", quiet=disable_tqdm):
            self._check(generation)
            texts[place] = generation.text
            self.cache_hook.add_partial(
                "generate_until", requests[place].args, generation.text
            )
        return texts

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Return a conversation as the model's own template writes it.

        Without ``add_generation_prompt`` the text ends where the last message does,
        for the model to go on with it.
        """
        self._templated = True
        messages = as_messages(chat_history)
        text = chat_tokens(
            self.session,
            messages,
            add_generation_prompt=add_generation_prompt,
            choice=choice_of(self._stored),
        ).text
        if add_generation_prompt:
            return text
        last = messages[-1].content.rstrip()
        return text[: text.rindex(last) + len(last)]

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Return the source of the template in use; None where none is applied.

        Raises:
            UsageError: one is asked for by name.
            TemplateError: the model has none.
        """
        if not chat_template:
            return None
        if isinstance(chat_template, str):
            msg = f"the chat template '{chat_template}' is asked for by name"
            hint = "a model here has one: give --apply_chat_template without a name"
            raise UsageError(msg, hint=hint)
        return equipment(self.session, choice_of(self._stored)).template.source

    def get_model_info(self) -> dict[str, Any]:
        """Return what lm-eval's record shall say of the model and of this run."""
        info = self._stored.info
        return {
            "model": "localkit",
            "model_name": str(self._stored.ref),
            "model_sha": self._stored.weights_digest,
            "model_dtype": info.label,
            "model_num_parameters": info.n_params,
            "localkit": {
                "bits_per_weight": info.bits_per_weight,
                "runtime": self.session.fingerprint.as_dict(),
                "exact_loglikelihoods": self._serve.exact,
                "n_cut_prompts": self.n_cut_prompts,
                "n_cut_answers": self.n_cut_answers,
            },
        }

    def close(self) -> None:
        """Unload the model. May be called twice."""
        self.session.close()

    def __enter__(self) -> Self:
        """Return the model."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Unload it."""
        self.close()

    def _each(
        self, works: Sequence[Work[T]], step: str, *, quiet: bool
    ) -> Iterator[tuple[int, T]]:
        return each_ended(
            works,
            self.session,
            step=step,
            on_progress=self._on_progress,
            quiet=quiet,
            cancel=self._cancel,
        )

    def _check(self, generation: Generation) -> None:
        """Count an answer that ended early; raise what ended it if it must not."""
        match generation.finish_reason:
            case "length":
                self.n_cut_answers += 1
            case "interrupted":
                msg = "the answers were stopped"
                raise Cancelled(msg)
            case "error":
                msg = f"{self._stored.ref} failed before its answer was whole"
                raise RuntimeFailure(msg, hint="; ".join(generation.notes))
            case _:
                pass

    def _say_cut(self, n_cut: int) -> None:
        self.n_cut_prompts += n_cut
        if n_cut:
            _log.warning(
                "%d prompts lost their first tokens, for n_ctx is %d",
                n_cut,
                self.max_length,
            )
