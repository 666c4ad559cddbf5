"""Go templates in the manner of the models that Ollama's library holds.

The marks and the order of the parts are those of each family; the prose around
tools is shortened. Those of Ollama's own repository were compared as well, when the
record was made: see `tests.chat.go.record`.
"""

from __future__ import annotations

_LAST = "{{- $last := eq (len (slice $.Messages $i)) 1 }}"
_HERMES = """\
{{- if or .System .Tools }}<|im_start|>system
{{- if .System }}
{{ .System }}
{{- end }}
{{- if .Tools }}

# Tools
<tools>
{{- range .Tools }}
{"type": "function", "function": {{ .Function }}}
{{- end }}
</tools>
Answer with <tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>
{{- end }}<|im_end|>
{{ end }}"""
_HERMES_TURNS = """\
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
{{- if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
THOUGHT{{ if .Content }}{{ .Content }}
{{- else if .ToolCalls }}<tool_call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", \
"arguments": {{ .Function.Arguments }}}
{{ end }}</tool_call>
{{- end }}{{ if not $last }}<|im_end|>
{{ end }}
{{- else if eq .Role "tool" }}<|im_start|>user
<tool_response>
{{ .Content }}
</tool_response><|im_end|>
{{ end }}
{{- if and (ne .Role "assistant") $last }}<|im_start|>assistant
OPENING{{ end }}
{{- end }}"""
_GATHERED = """\
{{- $system := "" }}
{{- range .Messages }}
{{- if eq .Role "system" }}
{{- if not $system }}{{ $system = .Content }}
{{- else }}{{ $system = printf "%s\\n\\n%s" $system .Content }}
{{- end }}"""


def _hermes(thought: str = "", opening: str = "") -> str:
    turns = _HERMES_TURNS.replace("THOUGHT", thought).replace("OPENING", opening)
    return _HERMES + turns


TEMPLATES: dict[str, str] = {
    "prompt alone": "{{ .Prompt }}",
    "chatml": """\
{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
""",
    "chatml by exchange": """\
{{ if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{ if .Prompt }}<|im_start|>user
{{ .Prompt }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ .Response }}<|im_end|>
""",
    "llama2": _GATHERED.replace('"" }}', '"" }}[INST] ', 1)
    + """
{{- else if eq .Role "user" }}<<SYS>>
{{- if $system }}
{{ $system }}
{{ $system = "" }}
{{- end }}<</SYS>>

{{ .Content }} [/INST]
{{- else if eq .Role "assistant" }} {{ .Content }}</s><s>[INST] {{ end }}
{{- end }}""",
    "llama2 by exchange": "[INST] <<SYS>>{{ .System }}<</SYS>>\n\n"
    "{{ .Prompt }} [/INST]\n",
    "llama3": """\
{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>

{{ .Content }}<|eot_id|>
{{- end }}<|start_header_id|>assistant<|end_header_id|>

""",
    "llama3.2 with tools": """\
<|start_header_id|>system<|end_header_id|>

{{ if .System }}{{ .System }}
{{- end }}
{{- if .Tools }}You may call functions.
{{- end }}<|eot_id|>
{{- range $i, $_ := .Messages }}
"""
    + _LAST
    + """
{{- if eq .Role "user" }}<|start_header_id|>user<|end_header_id|>
{{- if and $.Tools $last }}

Respond in the format {"name": name, "parameters": values}.

{{ range $.Tools }}
{{- . }}
{{ end }}
{{ .Content }}<|eot_id|>
{{- else }}

{{ .Content }}<|eot_id|>
{{- end }}{{ if $last }}<|start_header_id|>assistant<|end_header_id|>

{{ end }}
{{- else if eq .Role "assistant" }}<|start_header_id|>assistant<|end_header_id|>
{{- if .ToolCalls }}
{{ range .ToolCalls }}
{"name": "{{ .Function.Name }}", "parameters": {{ .Function.Arguments }}}{{ end }}
{{- else }}

{{ .Content }}
{{- end }}{{ if not $last }}<|eot_id|>{{ end }}
{{- else if eq .Role "tool" }}<|start_header_id|>ipython<|end_header_id|>

{{ .Content }}<|eot_id|>{{ if $last }}<|start_header_id|>assistant<|end_header_id|>

{{ end }}
{{- end }}
{{- end }}""",
    "mistral with tools": """\
{{- range $index, $_ := .Messages }}
{{- if eq .Role "user" }}
{{- if and (eq (len (slice $.Messages $index)) 1) $.Tools }}\
[AVAILABLE_TOOLS] {{ $.Tools }}[/AVAILABLE_TOOLS]
{{- end }}[INST] {{ if and (eq (len (slice $.Messages $index)) 1) $.System }}\
{{ $.System }}

{{ end }}{{ .Content }}[/INST]
{{- else if eq .Role "assistant" }}
{{- if .Content }} {{ .Content }}</s>
{{- else if .ToolCalls }}[TOOL_CALLS] [
{{- range .ToolCalls }}{"name": "{{ .Function.Name }}", \
"arguments": {{ .Function.Arguments }}}
{{- end }}]</s>
{{- end }}
{{- else if eq .Role "tool" }}[TOOL_RESULTS] {"content": {{ .Content }}}[/TOOL_RESULTS]
{{- end }}
{{- end }}""",
    "gemma": _GATHERED
    + """
{{- continue }}
{{- else if eq .Role "user" }}<start_of_turn>user
{{- if $system }}
{{ $system }}
{{- $system = "" }}
{{- end }}
{{- else if eq .Role "assistant" }}<start_of_turn>model
{{- end }}
{{ .Content }}<end_of_turn>
{{ end }}<start_of_turn>model
""",
    "gemma3": """\
{{- range $i, $_ := .Messages }}
"""
    + _LAST
    + """
{{- if or (eq .Role "user") (eq .Role "system") }}<start_of_turn>user
{{ .Content }}<end_of_turn>
{{ if $last }}<start_of_turn>model
{{ end }}
{{- else if eq .Role "assistant" }}<start_of_turn>model
{{ .Content }}{{ if not $last }}<end_of_turn>
{{ end }}
{{- end }}
{{- end }}
""",
    "phi-3": """\
{{- range .Messages }}<|{{ .Role }}|>
{{ .Content }}<|end|>
{{ end }}<|assistant|>
""",
    "phi-4": """\
{{- range $i, $_ := .Messages }}
"""
    + _LAST
    + """<|im_start|>{{ .Role }}<|im_sep|>
{{ .Content }}{{ if not $last }}<|im_end|>
{{ end }}
{{- if and (ne .Role "assistant") $last }}<|im_end|>
<|im_start|>assistant<|im_sep|>
{{ end }}
{{- end }}""",
    "qwen2.5 with tools": "{{- if .Messages }}"
    + _hermes()
    + """
{{- else }}
{{- if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{ if .Prompt }}<|im_start|>user
{{ .Prompt }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ end }}{{ .Response }}{{ if .Response }}<|im_end|>{{ end }}""",
    "qwen2.5-coder": "{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>"
    "{{ .Suffix }}<|fim_middle|>\n{{- else if .Messages }}"
    + _hermes()
    + "\n{{- else }}{{ .Prompt }}{{ end }}",
    "qwen3": """\
{{- $lastUserIdx := -1 -}}
{{- range $idx, $msg := .Messages -}}
{{- if eq $msg.Role "user" }}{{ $lastUserIdx = $idx }}{{ end -}}
{{- end }}
"""
    + _hermes(
        "{{ if (and $.IsThinkSet (and .Thinking (or $last (gt $i $lastUserIdx)))) -}}\n"
        "<think>{{ .Thinking }}</think>\n{{ end -}}\n",
        "{{ if and $.IsThinkSet (not $.Think) -}}\n<think>\n\n</think>\n\n{{ end -}}\n",
    ).replace(
        '{{- if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>',
        """{{- if eq .Role "user" }}<|im_start|>user
{{ .Content }}
{{- if and $.IsThinkSet (eq $i $lastUserIdx) }}
   {{- if $.Think -}}
      {{- " "}}/think
   {{- else -}}
      {{- " "}}/no_think
   {{- end -}}
{{- end }}<|im_end|>""",
    ),
    "deepseek-r1": """\
{{- if .System }}{{ .System }}{{ end }}
{{- range $i, $_ := .Messages }}
"""
    + _LAST
    + """
{{- if eq .Role "user" }}<\uff5cUser\uff5c>{{ .Content }}
{{- else if eq .Role "assistant" }}<\uff5cAssistant\uff5c>
  {{- if and $.IsThinkSet (and $last .Thinking) -}}
<think>
{{ .Thinking }}
</think>
{{- end }}{{ .Content }}{{- if not $last }}<\uff5cend▁of▁sentence\uff5c>{{- end }}
{{- end }}
{{- if and $last (ne .Role "assistant") }}<\uff5cAssistant\uff5c>
{{- if and $.IsThinkSet (not $.Think) -}}
<think>

</think>

{{ end }}
{{- end -}}
{{- end }}""",
    "command-r": """\
{{- if or .Tools .System }}<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>
{{- if .System }}{{ .System }}{{ end }}
{{- range .Tools }}

```python
def {{ .Function.Name }}(
{{- range $name, $property := .Function.Parameters.Properties }}\
{{ $name }}: {{ $property.Type }}, {{ end }}) -> List[Dict]:
    '''{{ .Function.Description }}

{{- if .Function.Parameters.Properties }}

    Args:
{{- range $name, $property := .Function.Parameters.Properties }}
        {{ $name }} ({{ $property.Type }}): {{ $property.Description }}
{{- end }}
{{- end }}
    '''
```
{{- end }}<|END_OF_TURN_TOKEN|>
{{- end }}
{{- range .Messages }}
{{- if eq .Role "system" }}
{{- continue }}
{{- end }}<|START_OF_TURN_TOKEN|>
{{- if eq .Role "user" }}<|USER_TOKEN|>{{ .Content }}
{{- else if eq .Role "assistant" }}<|CHATBOT_TOKEN|>
{{- if .Content }}{{ .Content }}
{{- else if .ToolCalls }}
Action: ```json
[
{{- range .ToolCalls }}
    {
        "tool_name": "{{ .Function.Name }}",
        "parameters": {{ .Function.Arguments }}
    }
{{- end }}
]```
{{- end }}
{{- else if eq .Role "tool" }}<|SYSTEM_TOKEN|><results>
console_output: {{ .Content }}
</results>
{{- end }}<|END_OF_TURN_TOKEN|>
{{- end }}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>""",
    "zephyr": """\
{{- range .Messages }}<|{{ .Role }}|>
{{ .Content }}</s>
{{ end }}<|assistant|>
""",
    "vicuna by exchange": "{{ .System }}\nUSER: {{ .Prompt }}\nASSISTANT: ",
    "vicuna": _GATHERED
    + """
{{- else if eq .Role "user" }}
{{- if $system }}{{ $system }}

{{ $system = "" }}
{{- end }}USER: {{ .Content }}
{{ else if eq .Role "assistant" }}ASSISTANT: {{ .Content }}</s>
{{ end }}
{{- end }}ASSISTANT:""",
    "alpaca": _GATHERED
    + """
{{- else if eq .Role "user" }}
{{- if $system }}{{ $system }}

{{ $system = "" }}
{{- end }}### Instruction:
{{ .Content }}

{{ else if eq .Role "assistant" }}### Response:
{{ .Content }}

{{ end }}
{{- end }}### Response:
""",
    "openchat": """\
{{- range .Messages }}GPT4 Correct
{{- if eq .Role "system" }} System:
{{- else if eq .Role "user" }} User:
{{- else if eq .Role "assistant" }} Assistant:
{{- end }} {{ .Content }}<|end_of_turn|>
{{- end }}GPT4 Correct Assistant:""",
    "granite by role": """\
{{- range .Messages }}
{{- if eq .Role "system" }}System:
{{- else if eq .Role "user" }}Question:
{{- else if eq .Role "assistant" }}Answer:
{{- end }}
{{ .Content }}

{{ end }}Answer:
""",
    "granite3 with tools": """\
{{- if .Tools }}<|start_of_role|>tools<|end_of_role|>[
{{- range $i, $_ := .Tools }}{{ if $i }}, {{ end }}{{ json . }}
{{- end }}]<|end_of_text|>
{{ end }}
{{- range $i, $_ := .Messages }}
"""
    + _LAST
    + """
{{- if eq .Role "tool" }}<|start_of_role|>tool_response<|end_of_role|>
{{- else }}<|start_of_role|>{{ .Role }}<|end_of_role|>
{{- end }}
{{- if .ToolCalls }}<|tool_call|>[
{{- range .ToolCalls }}{"name": "{{ .Function.Name }}", \
"arguments": {{ .Function.Arguments }}}
{{- end }}]
{{- else }}{{ .Content }}
{{- end }}<|end_of_text|>
{{ if and $last (ne .Role "assistant") }}<|start_of_role|>assistant<|end_of_role|>
{{- end }}
{{- end }}""",
    "nemotron with tools": """\
{{- if (or .Tools .System) }}<extra_id_0>System
{{ if .System }}{{ .System }}

{{ end }}
{{- if .Tools }}
{{- range .Tools }}<tool> {{ . }} </tool>{{ end }}

{{ end }}
{{- end }}
{{- range $i, $m := .Messages }}
"""
    + _LAST
    + """
{{- if eq .Role "user" }}<extra_id_1>User
{{ .Content }}
{{- if $last }}
<extra_id_1>Assistant
{{- end }}
{{ else if eq .Role "tool" }}<extra_id_1>Tool
{{ .Content }}
{{- if $last }}
<extra_id_1>Assistant
{{- end }}
{{ else if eq .Role "assistant" }}<extra_id_1>Assistant
{{- if .ToolCalls }}
{{ range .ToolCalls }}<TOOLCALL> {"name": "{{ .Function.Name }}", \
"arguments": {{ .Function.Arguments }}} </TOOLCALL> {{ end }}
{{ else }}
{{ .Content }}
{{- if not $last }}
{{ end }}
{{- end }}
{{- end }}
{{- end }}""",
    "gpt-oss": """\
<|start|>system<|message|>Reasoning: {{ if $.ThinkLevel }}{{ $.ThinkLevel }}\
{{ else if or (not $.IsThinkSet) $.Think }}medium{{ else }}low{{ end }}<|end|>
{{- if .Tools }}<|start|>developer<|message|>namespace functions {
{{- range .Tools }}
// {{ .Function.Description }}
type {{ .Function.Name }} = (_: {
{{- range $name, $prop := .Function.Parameters.Properties }}
{{ $name }}: {{ if $prop.Type }}{{ toTypeScriptType $prop }}{{ else }}any{{ end }},\
{{- if $prop.Enum }}{{ range $i, $e := $prop.Enum }} // {{ $e }}{{ end }}{{ end }}
{{- end }}
}) => any;
{{- end }}
}<|end|>{{ end }}
{{- range $i, $_ := .Messages }}
"""
    + _LAST
    + """
{{- if eq .Role "assistant" }}<|start|>assistant
{{- if .ToolCalls }}{{ range .ToolCalls }}<|channel|>commentary \
to=functions.{{ .Function.Name }}<|message|>{{ .Function.Arguments }}<|call|>{{ end }}
{{- else }}<|channel|>final<|message|>{{ .Content }}{{ if not $last }}<|end|>{{ end }}
{{- end }}
{{- else if eq .Role "tool" }}<|start|>functions.{{ .ToolName }} to=assistant\
<|message|>{{ .Content }}<|end|>
{{- else }}<|start|>{{ .Role }}<|message|>{{ .Content }}<|end|>
{{- end }}
{{- if and $last (ne .Role "assistant") }}<|start|>assistant{{ end }}
{{- end }}""",
    "parts of its own": """\
{{- define "turn" }}[{{ .Role }}|{{ template "text" .Content }}]{{ end }}
{{- define "text" }}{{ with . }}{{ printf "%q" . }}{{ else }}-{{ end }}{{ end }}
{{- block "head" .System }}head:{{ . }}{{ end }}
{{- range .Messages }}{{ template "turn" . }}
{{- if and .Images .ToolCallID }}{{ break }}{{ end }}{{ else }}none{{ end }}
{{- /* the end */ -}}
{{- with index .Messages 0 }} {{ .Content | html }} {{ len .Content }}{{ end }}
{{- json (index .Messages 0) }}""",
}
