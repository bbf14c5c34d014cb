"""Requests that use much of what their dialects have: data for test_fuzz.py, which makes any part of them odd."""

from __future__ import annotations

from typing import Any

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "Weather", "parameters": CITY}
ANSWER = {"type": "object", "properties": {"name": {"type": "string"}}}
SAMPLING = {"temperature": 0.5, "seed": 1, "top_k": 10, "top_p": 0.9, "min_p": 0.1, "stop": ["END"]}
HELLO = [{"role": "user", "content": "hello"}]

ANTHROPIC = {
    "model": "demo",
    "max_tokens": 3,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I ask.", "signature": "x"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "One moment."},
                {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Paris"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "Sunny"}]},
                {"type": "text", "text": "So?"},
            ],
        },
    ],
    "tools": [{"name": "get_weather", "description": "Weather", "input_schema": CITY}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "stop_sequences": ["END"],
}

ANTHROPIC_IN_A_FORM = {
    "max_tokens": 3,
    "stream": True,
    "messages": [*HELLO, {"role": "assistant", "content": "The answer: "}],
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": ANSWER}},
}

CALLED = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
CHAT = {
    "model": "demo",
    "max_tokens": 3,
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "Weather?", "name": "me"},
        {"role": "assistant", "content": None, "reasoning_content": "I ask.", "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "a", "content": "Sunny"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "chat_template_kwargs": {"enable_thinking": False},
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"5": 1},
    **SAMPLING,
}
CHAT_IN_A_FORM = {
    "messages": HELLO,
    "max_tokens": 3,
    "stream": True,
    "stream_options": {"include_usage": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": ANSWER}},
}

RESPONSE = {
    "model": "demo",
    "max_output_tokens": 3,
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I ask."}]},
        {"type": "function_call", "call_id": "a", "name": "get_weather", "arguments": '{"city": "Paris"}'},
        {"type": "function_call_output", "call_id": "a", "output": "Sunny"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Sunny."}]},
        {"role": "user", "content": "And?"},
    ],
    "tools": [{"type": "function", "name": "get_weather", "description": "Weather", "parameters": CITY}],
    "tool_choice": {"type": "function", "name": "get_weather"},
    "reasoning": {"effort": "low"},
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 2,
    "metadata": {"a": "b"},
}
RESPONSE_IN_A_FORM = {
    "input": "hello",
    "max_output_tokens": 3,
    "stream": True,
    "text": {"format": {"type": "json_schema", "name": "a", "schema": ANSWER}},
}

COMPLETION = {
    "prompt": [1, "The"],
    "n_predict": 3,
    "n_probs": 2,
    "logit_bias": [[5, 1.0], ["The", False]],
    "samplers": ["top_k", "temperature"],
    "dry_multiplier": 0.8,
    "dry_sequence_breakers": ["\n"],
    "json_schema": ANSWER,
    **SAMPLING,
}

OPTIONS = {"num_predict": 3, "temperature": 0.5, "seed": 1, "stop": ["END"], "num_ctx": 512, "repeat_last_n": 64}
OLLAMA_CHAT = {
    "model": "demo",
    "messages": [
        {"role": "user", "content": "Weather?", "images": []},
        {"role": "assistant", "thinking": "I ask.", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "content": "Sunny", "tool_name": "f"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "options": OPTIONS,
    "think": False,
    "keep_alive": "5m",
    "stream": False,
}
OLLAMA_GENERATE = {
    "model": "demo",
    "prompt": "The",
    "system": "Be brief.",
    "template": "{{ .Prompt }}",
    "context": [1, 2],
    "format": ANSWER,
    "options": OPTIONS,
    "keep_alive": 5,
}

RICH: list[tuple[str, Any]] = [
    ("/v1/messages", ANTHROPIC),
    ("/v1/messages/count_tokens", ANTHROPIC),
    ("/v1/messages", ANTHROPIC_IN_A_FORM),
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", CHAT_IN_A_FORM),
    ("/v1/responses", RESPONSE),
    ("/v1/responses", RESPONSE_IN_A_FORM),
    ("/v1/completions", {"prompt": [1, 2], "max_tokens": 3, "logprobs": 2, **SAMPLING}),
    ("/v1/embeddings", {"input": ["a", [1, 2]], "dimensions": 8, "encoding_format": "base64"}),
    ("/completion", COMPLETION),
    (
        "/infill",
        {"input_prefix": "a", "input_suffix": "b", "input_extra": [{"text": "a", "filename": "b"}], "n_predict": 3},
    ),
    ("/apply-template", CHAT),
    ("/tokenize", {"content": ["a", 1], "add_special": True, "with_pieces": True}),
    ("/detokenize", {"tokens": [1, 2]}),
    ("/api/chat", OLLAMA_CHAT),
    ("/api/generate", OLLAMA_GENERATE),
    (
        "/api/generate",
        {"prompt": "a", "suffix": "b", "raw": True, "options": OPTIONS, "logprobs": True, "top_logprobs": 2},
    ),
    ("/api/embed", {"input": ["a", "b"], "dimensions": 8, "truncate": True, "options": OPTIONS}),
    ("/api/show", {"model": "demo", "verbose": True}),
]
"""Paths and bodies, each of them answered."""
