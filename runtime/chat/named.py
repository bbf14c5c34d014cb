"""Chat templates by the names that llama.cpp has for them, for models whose own is missing or wrong.

Each is made of what stands around a turn, as llama.cpp documents its formats (`llm_chat_apply_template` in
src/llama-chat.cpp, which the tests compare with). Where a format has no place for a system prompt, `history.py` puts it
into what the user says first. Refuses to know tools and reasoning: who needs them names a template of the model's own.
"""

from __future__ import annotations

import json
from collections.abc import Collection

_Around = tuple[str, str]
"""What stands before a turn's content, and behind it."""


def _turns(
    user: _Around,
    assistant: _Around,
    opening: str = "",
    *,
    system: _Around | None = None,
    tool: _Around | None = None,
    begin: str = "",
    unless_system: str = "",
    trims: Collection[str] = (),
) -> str:
    """Jinja of a template whose turns are written one after the other.

    `opening` is what an answer begins behind. It all begins with `begin`, then, where no system prompt comes first,
    with `unless_system`. Contents of the roles in `trims` lose the space around them.
    """
    around = {"system": system, "user": user, "assistant": assistant, "tool": tool}
    branches = [_branch(role, texts, role in trims) for role, texts in around.items() if texts is not None]
    first = f"{{% if messages[0]['role'] != 'system' %}}{_written(unless_system)}{{% endif %}}" if unless_system else ""
    return (
        f"{_written(begin)}{first}{{% for message in messages %}}{{% {'{% el'.join(branches)}{{% endif %}}"
        f"{{% endfor %}}{{% if add_generation_prompt %}}{_written(opening)}{{% endif %}}"
    )


def _roles(before: str, after: str, opening: str, *, begin: str = "", trims: Collection[str] = ()) -> str:
    """The same where every role is written alike: `{}` in `before` stands for its name."""
    system, user, assistant = ((before.format(role), after) for role in ("system", "user", "assistant"))
    return _turns(user, assistant, opening, system=system, begin=begin, trims=trims)


def _llama2(system: _Around, between: str = "", trims: Collection[str] = ()) -> str:
    """What the user says stands in one instruction with the system prompt; `between` comes before further ones."""
    opens = f"{{% if not loop.first %}}{_written(between)}{{% endif %}}{_written('[INST] ')}"
    content = {role: _content(role in trims) for role in ("system", "user", "assistant")}
    return (
        "{% for message in messages %}"
        f"{{% if message['role'] == 'system' %}}{opens}{_written(system[0])}{content['system']}{_written(system[1])}"
        "{% elif message['role'] == 'user' %}"
        f"{{% if loop.first or messages[loop.index0 - 1]['role'] != 'system' %}}{opens}{{% endif %}}"
        f"{content['user']}{_written(' [/INST]')}"
        f"{{% elif message['role'] == 'assistant' %}}{content['assistant']}{_written('</s>')}"
        "{% endif %}{% endfor %}"
    )


def _branch(role: str, around: _Around, is_trimmed: bool) -> str:
    before, after = around
    return f"if message['role'] == '{role}' %}}{_written(before)}{_content(is_trimmed)}{_written(after)}"


def _content(is_trimmed: bool) -> str:
    return "{{ message['content'] | trim }}" if is_trimmed else "{{ message['content'] }}"


def _written(text: str) -> str:
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""


_ALL = ("system", "user", "assistant", "tool")
_LLAMA2_SYSTEM = ("<<SYS>>\n", "\n<</SYS>>\n\n")
_GRANITE = _roles(
    "<|start_of_role|>{}<|end_of_role|>", "<|end_of_text|>\n", "<|start_of_role|>assistant<|end_of_role|>"
)


def _bailing(after: str, opening: str, unless_system: str = "") -> str:
    user, assistant, system = (f"<role>{name}</role>" for name in ("HUMAN", "ASSISTANT", "SYSTEM"))
    return _turns((user, after), (assistant, after), opening, system=(system, after), unless_system=unless_system)


CHATML = _roles("<|im_start|>{}\n", "<|im_end|>\n", "<|im_start|>assistant\n")

NAMED = {
    "bailing": _bailing("", "<role>ASSISTANT</role>"),
    "bailing-think": _bailing("", "<role>ASSISTANT</role><think>"),
    "bailing2": _bailing(
        "<|role_end|>", "<role>ASSISTANT</role>", "<role>SYSTEM</role>detailed thinking off<|role_end|>"
    ),
    "chatglm3": _roles("<|{}|>\n ", "", "<|assistant|>", begin="[gMASK]sop"),
    "chatglm4": _roles("<|{}|>\n", "", "<|assistant|>\n", begin="[gMASK]<sop>"),
    "chatml": CHATML,
    "command-r": _turns(
        ("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        ("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        system=("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        trims=_ALL,
    ),
    "deepseek": _turns(
        ("### Instruction:\n", "\n"), ("### Response:\n", "\n<|EOT|>\n"), "### Response:\n", system=("", "")
    ),
    "deepseek-ocr": _turns(("", ""), ("", ""), system=("", "")),
    "deepseek2": _turns(
        ("User: ", "\n\n"), ("Assistant: ", "<｜end▁of▁sentence｜>"), "Assistant:", system=("", "\n\n")
    ),
    "deepseek3": _turns(
        ("<｜User｜>", ""), ("<｜Assistant｜>", "<｜end▁of▁sentence｜>"), "<｜Assistant｜>", system=("", "\n\n")
    ),
    "exaone-moe": _turns(
        ("<|user|>\n", "<|endofturn|>\n"),
        ("<|assistant|>\n", "<|endofturn|>\n"),
        "<|assistant|>\n",
        system=("<|system|>\n", "<|endofturn|>\n"),
        tool=("<|tool|>\n", "<|endofturn|>\n"),
        trims=_ALL,
    ),
    "exaone3": _turns(
        ("[|user|]", "\n"),
        ("[|assistant|]", "[|endofturn|]\n"),
        "[|assistant|]",
        system=("[|system|]", "[|endofturn|]\n"),
        trims=_ALL,
    ),
    "exaone4": _turns(
        ("[|user|]", "\n"),
        ("[|assistant|]", "[|endofturn|]\n"),
        "[|assistant|]",
        system=("[|system|]", "[|endofturn|]\n"),
        tool=("[|tool|]", "[|endofturn|]\n"),
        trims=_ALL,
    ),
    "falcon3": _roles("<|{}|>\n", "\n", "<|assistant|>\n"),
    "gemma": _turns(
        ("<start_of_turn>user\n", "<end_of_turn>\n"),
        ("<start_of_turn>model\n", "<end_of_turn>\n"),
        "<start_of_turn>model\n",
        trims=_ALL,
    ),
    "gigachat": _turns(
        ("user<|role_sep|>", "<|message_sep|>available functions<|role_sep|>[]<|message_sep|>"),
        ("assistant<|role_sep|>", "<|message_sep|>"),
        "assistant<|role_sep|>",
        system=("", "<|message_sep|>"),
        begin="<s>",
    ),
    "glmedge": _roles("<|{}|>\n", "", "<|assistant|>"),
    "gpt-oss": _turns(
        ("<|start|>user<|message|>", "<|end|>"),
        ("<|start|>assistant<|message|>", "<|return|>"),
        "<|start|>assistant",
        system=("<|start|>system<|message|>", "<|end|>"),
    ),
    "granite": _GRANITE,
    "granite-4.0": _GRANITE,
    "granite-4.1": _GRANITE,
    "grok-2": _turns(
        ("Human: ", "<|separator|>\n\n"),
        ("Assistant: ", "<|separator|>\n\n"),
        "Assistant:",
        system=("System: ", "<|separator|>\n\n"),
        trims=("system", "user"),
    ),
    "hunyuan-dense": _turns(
        ("<｜hy_User｜>", "<｜hy_Assistant｜>"),
        ("<｜hy_Assistant｜>", "<｜hy_place▁holder▁no▁2｜>"),
        system=("", "<｜hy_place▁holder▁no▁3｜>"),
    ),
    "hunyuan-moe": _turns(
        ("<|startoftext|>", "<|extra_0|>"), ("", "<|eos|>"), system=("<|startoftext|>", "<|extra_4|>")
    ),
    "hunyuan-vl": _turns(
        ("", "<｜hy_User｜>"),
        ("", "<｜hy_Assistant｜>"),
        system=("", "<｜hy_place▁holder▁no▁3｜>"),
        begin="<｜hy_begin▁of▁sentence｜>",
    ),
    "kimi-k2": _turns(
        ("<|im_user|>user<|im_middle|>", "<|im_end|>"),
        ("<|im_assistant|>assistant<|im_middle|>", "<|im_end|>"),
        "<|im_assistant|>assistant<|im_middle|>",
        system=("<|im_system|>system<|im_middle|>", "<|im_end|>"),
        tool=("<|im_system|>tool<|im_middle|>", "<|im_end|>"),
    ),
    "llama2": _llama2(("", "\n")),
    "llama2-sys": _llama2(_LLAMA2_SYSTEM),
    "llama2-sys-bos": _llama2(_LLAMA2_SYSTEM, between="<s>"),
    "llama2-sys-strip": _llama2(_LLAMA2_SYSTEM, trims=_ALL),
    "llama3": _roles(
        "<|start_header_id|>{}<|end_header_id|>\n\n",
        "<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        trims=_ALL,
    ),
    "llama4": _roles(
        "<|header_start|>{}<|header_end|>\n\n",
        "<|eot|>",
        "<|header_start|>assistant<|header_end|>\n\n",
        trims=_ALL,
    ),
    "megrez": _roles("<|role_start|>{}<|role_end|>", "<|turn_end|>", "<|role_start|>assistant<|role_end|>"),
    "minicpm": _turns(("<用户>", "<AI>"), ("", ""), system=("", ""), trims=_ALL),
    "mistral-v1": _turns((" [INST] ", " [/INST]"), (" ", "</s>")),
    "mistral-v3": _turns(("[INST] ", "[/INST]"), (" ", "</s>"), trims=("assistant",)),
    "mistral-v3-tekken": _turns(("[INST]", "[/INST]"), ("", "</s>")),
    "mistral-v7": _turns(("[INST] ", "[/INST]"), (" ", "</s>"), system=("[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]")),
    "mistral-v7-tekken": _turns(("[INST]", "[/INST]"), ("", "</s>"), system=("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")),
    "monarch": _roles("{}\n", "</s>\n", "<s>assistant\n").replace(
        "{% for message in messages %}", "{% for message in messages %}{% if not loop.first %}{{ '<s>' }}{% endif %}"
    ),
    "openchat": _turns(
        ("GPT4 Correct User: ", "<|end_of_turn|>"),
        ("GPT4 Correct Assistant: ", "<|end_of_turn|>"),
        "GPT4 Correct Assistant:",
        system=("", "<|end_of_turn|>"),
    ),
    "orion": _turns(("Human: ", "\n\nAssistant: </s>"), ("", "</s>")),
    "pangu-embedded": _turns(
        ("[unused9]用户：", "[unused10]"),
        ("[unused9]助手：", "[unused10]"),
        "[unused9]助手：",
        system=("[unused9]系统：", "[unused10]"),
        tool=("[unused9]工具：", "[unused10]"),
        unless_system="[unused9]系统：[unused10]",
    ),
    "phi3": _roles("<|{}|>\n", "<|end|>\n", "<|assistant|>\n"),
    "phi4": _roles("<|im_start|>{}<|im_sep|>", "<|im_end|>", "<|im_start|>assistant<|im_sep|>"),
    "rwkv-world": _turns(
        ("User: ", "\n\n"), ("Assistant: ", "\n\n"), "Assistant:", system=("System: ", "\n\n"), trims=_ALL
    ),
    "seed_oss": _roles("<seed:bos>{}\n", "<seed:eos>", "<seed:bos>assistant\n", trims=("assistant",)),
    "smolvlm": _turns(
        ("User: ", "<end_of_utterance>\n"),
        ("Assistant: ", "<end_of_utterance>\n"),
        "Assistant:",
        system=("", "\n\n"),
        begin="<|im_start|>",
    ),
    "solar-open": _roles("<|begin|>{}<|content|>", "<|end|>", "<|begin|>assistant"),
    "vicuna": _turns(("USER: ", "\n"), ("ASSISTANT: ", "</s>\n"), "ASSISTANT:", system=("", "\n\n")),
    "vicuna-orca": _turns(("USER: ", "\n"), ("ASSISTANT: ", "</s>\n"), "ASSISTANT:", system=("SYSTEM: ", "\n")),
    "yandex": _turns((" Пользователь: ", "\n\n"), (" Ассистент: ", "\n\n"), " Ассистент:[SEP]"),
    "zephyr": _roles("<|{}|>\n", "<|endoftext|>\n", "<|assistant|>\n"),
}
"""Every name of `LLM_CHAT_TEMPLATES`, and the template."""
