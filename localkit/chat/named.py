"""Templates that models of many makers share, by the names that Ollama gives them.

They are offered where a model brings none; nothing takes one by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_EACH: Final = "{{ range .Messages }}"
NAMED: Final[dict[str, str]] = {
    "chatml": f"{_EACH}<|im_start|>{{{{ .Role }}}}\n"
    "{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
    "llama3-instruct": f"{_EACH}<|start_header_id|>{{{{ .Role }}}}<|end_header_id|>\n\n"
    "{{ .Content }}<|eot_id|>{{ end }}"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "phi-3": f"{_EACH}<|{{{{ .Role }}}}|>\n"
    "{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n",
    "gemma3-instruct": f'{_EACH}<start_of_turn>{{{{ if eq .Role "assistant" }}}}model'
    "{{ else }}user{{ end }}\n"
    "{{ .Content }}<end_of_turn>\n{{ end }}<start_of_turn>model\n",
}
"""Go templates by name; `suggested` says which one a vocabulary was made for."""
_MARKS: Final = {
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "llama3-instruct": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "phi-3": ("<|user|>", "<|assistant|>", "<|end|>"),
    "gemma3-instruct": ("<start_of_turn>", "<end_of_turn>"),
}


def suggested(control_tokens: Collection[str]) -> str | None:
    """Return the name of the template whose marks a vocabulary has; None if none."""
    known = set(control_tokens)
    return next((name for name, marks in _MARKS.items() if known >= set(marks)), None)
