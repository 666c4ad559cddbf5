"""Conversations and tools that the recorded templates are rendered with."""

from __future__ import annotations

from typing import Any

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city, today & tomorrow",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "properties": {
                "unit": {
                    "type": "string",
                    "description": "C or F",
                    "enum": ["C", "F"],
                },
                "city": {"type": "string", "description": "Name of the city"},
                "days": {"type": ["integer", "null"]},
            },
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {
        "name": "now",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    },
}
_CALL = {
    "id": "call00001",
    "function": {
        "index": 0,
        "name": "get_weather",
        "arguments": {"city": "Zürich <3", "days": 2, "far": 1.5, "list": [1, None]},
    },
}
_USER = {"role": "user", "content": "Hello, how are you?"}
_ANSWER = {"role": "assistant", "content": "Fine, thanks."}
_SYSTEM = {"role": "system", "content": "You are terse."}
_TOOL = {
    "role": "tool",
    "content": '{"temperature": 22}',
    "tool_name": "get_weather",
    "tool_call_id": "call00001",
}
_CALLS = {"role": "assistant", "content": "", "tool_calls": [_CALL]}
_ASK = {"role": "user", "content": "Weather in Zürich?"}

CASES: dict[str, dict[str, Any]] = {
    "user": {"messages": [_USER]},
    "three turns": {"messages": [_USER, _ANSWER, {"role": "user", "content": "Good."}]},
    "system": {"messages": [_SYSTEM, _USER]},
    "system and turns": {
        "messages": [_SYSTEM, _USER, _ANSWER, {"role": "user", "content": "Good.\n"}]
    },
    "two of one role": {
        "messages": [_SYSTEM, {"role": "system", "content": "In German."}, _USER, _ASK]
    },
    "system in the middle": {"messages": [_USER, _ANSWER, _SYSTEM, _ASK]},
    "answer begun": {"messages": [_USER, {"role": "assistant", "content": "I am"}]},
    "empty": {"messages": [{"role": "user", "content": ""}]},
    "braces": {"messages": [{"role": "user", "content": "{{ .System }} <b>&\t€🦙"}]},
    "tools offered": {"messages": [_SYSTEM, _ASK], "tools": [WEATHER, CLOCK]},
    "call made": {"messages": [_ASK, _CALLS, _TOOL], "tools": [WEATHER]},
    "two calls": {
        "messages": [
            _ASK,
            {**_CALLS, "tool_calls": [_CALL, {"function": {"name": "now"}}]},
            _TOOL,
            {**_TOOL, "content": "noon", "tool_name": "now"},
            {"role": "assistant", "content": "Warm."},
            {"role": "user", "content": "Thanks"},
        ],
        "tools": [WEATHER, CLOCK],
    },
    "thinking on": {"messages": [_USER], "think": True},
    "thinking off": {"messages": [_SYSTEM, _USER], "think": False},
    "thinking high": {"messages": [_USER], "think": "high"},
    "thought before": {
        "messages": [
            _USER,
            {"role": "assistant", "content": "Four.", "thinking": "2 + 2"},
            {"role": "user", "content": "Sure?"},
        ],
        "think": True,
    },
    "thought and called": {
        "messages": [_ASK, {**_CALLS, "thinking": "I need the weather"}, _TOOL],
        "tools": [WEATHER],
        "think": True,
    },
}
