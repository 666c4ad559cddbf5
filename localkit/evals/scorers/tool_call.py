"""Whether the model called the right tools with the right arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localkit.chat.tools import ToolCall, as_tool_call
from localkit.errors import UsageError
from localkit.evals.scorers.json_text import read_json, same, share
from localkit.evals.scorers.scoring import definition_of, scored, unscored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.scorers.protocol import Answer, Score, Surroundings
    from localkit.evals.tasks.sample import Sample


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """1 when the calls are those of a target: names and arguments, no more, no less.

    A target is JSON: a call ``{"name": …, "arguments": {…}}`` or a list of them, as
    the OpenAI API writes them too; ``[]`` says that no tool is to be called. Calls
    count in any order unless ``ordered``. Ids do not count.
    """

    name: str = "tool_call"
    ordered: bool = False
    ignore_case: bool = False
    """In texts among the arguments."""
    partial: bool = False
    """Give a part: each call is worth half for its name and half for the share of
    its arguments, divided by the calls wanted or made, whichever are more."""

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return definition_of(self, "tool_call")

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return a value from 0 to 1; unscored when the target is no call."""
        del surroundings
        if not sample.target:
            return unscored("the sample has no target")
        try:
            targets = [_calls(target) for target in sample.target]
        except (ValueError, UsageError) as error:
            said = error.one_line() if isinstance(error, UsageError) else str(error)
            return unscored(f"the target is no tool call: {said}")
        made = answer.tool_calls
        shown = ", ".join(call.as_json() for call in made)
        value = max(self._worth(made, target) for target in targets)
        if not self.partial:
            value = float(value >= 1.0)
        why = "" if made or value >= 1.0 else "no tool was called"
        return scored(answer, value, shown, why)

    def _worth(self, made: Sequence[ToolCall], wanted: Sequence[ToolCall]) -> float:
        most = max(len(made), len(wanted))
        if most == 0:
            return 1.0
        if self.ordered:
            pairs = zip(made, wanted, strict=False)
            return sum(self._alike(a, b) for a, b in pairs) / most
        # The dearest pairs first: exact matches find each other.
        ranked = sorted(
            (
                (self._alike(a, b), at, to)
                for at, a in enumerate(made)
                for to, b in enumerate(wanted)
            ),
            key=lambda one: -one[0],
        )
        total, used, met = 0.0, set[int](), set[int]()
        for worth, at, to in ranked:
            if at not in used and to not in met:
                total += worth
                used.add(at)
                met.add(to)
        return total / most

    def _alike(self, made: ToolCall, wanted: ToolCall) -> float:
        if made.name != wanted.name:
            return 0.0
        said, target = dict(made.arguments), dict(wanted.arguments)
        if self.ignore_case:
            said, target = _folded(said), _folded(target)
        if same(said, target):
            return 1.0
        return 0.5 + 0.5 * share(said, target) if self.partial else 0.0


def _calls(target: str) -> list[ToolCall]:
    value = read_json(target)
    calls = value if isinstance(value, list) else [value]
    return [as_tool_call(call) for call in calls]


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, Mapping):
        return {key: _folded(one) for key, one in value.items()}
    return [_folded(one) for one in value] if isinstance(value, list) else value
