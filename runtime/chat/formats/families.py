"""The families, in the order in which they are looked for: the first whose signs are all in a template is its own.

What is written here is what the models' own templates show (llama.cpp has many in models/templates), and for what
they do not show, the model cards and the parsers of vLLM and llama.cpp.
"""

from __future__ import annotations

from runtime.chat.formats.format import (
    Arguments,
    Calls,
    Filler,
    Format,
    JsonCall,
    Name,
    Number,
    ShortId,
    Span,
    TaggedArguments,
)

THINK = Span("<think>", "</think>")

REASONING = (
    THINK,
    Span("[THINK]", "[/THINK]"),
    Span("<|START_THINKING|>", "<|END_THINKING|>"),
    Span("<seed:think>", "</seed:think>"),
    Span("<|inner_prefix|>", "<|inner_suffix|>"),
    Span("<|begin_of_thought|>", "<|end_of_thought|>"),
)
"""What stands around reasoning, whatever the family: found by either text in the template."""

_HERMES_FORM = ("<tool_call>\n", JsonCall(), "\n</tool_call>")
_TAGGED = TaggedArguments("<parameter=", ">\n", "\n</parameter>\n")

GENERIC = Format("generic", (), Calls((_HERMES_FORM,), between="\n"))
"""For templates that know no tools, or write calls in a way that is not known: the model is told to do it like this."""

FAMILIES = (
    Format(
        "gpt-oss",
        ("<|channel|>", "<|message|>"),
        Calls(
            (
                ("<|channel|>commentary to=functions.", Name(), Filler((" <|constrain|>json", " json", "")),
                 "<|message|>", Arguments()),
                ("<|start|>assistant to=functions.", Name(),
                 Filler(("<|channel|>commentary json", "<|channel|>commentary <|constrain|>json",
                         "<|channel|>commentary", "<|channel|>analysis json", "<|channel|>analysis")),
                 "<|message|>", Arguments()),
                ("<|channel|>analysis to=functions.", Name(), Filler((" <|constrain|>json", " json", "")),
                 "<|message|>", Arguments()),
            ),
            parallel=False,
        ),
        reasoning=Span("<|channel|>analysis<|message|>", "<|end|>"),
        content=("<|channel|>final<|message|>", "<|channel|>commentary<|message|>", "<|end|>", "<|return|>",
                 "<|call|>"),
        noise=("<|start|>assistant",),
        opening="<|start|>assistant",
        channels=True,
    ),
    Format(
        "functionary-v3.2",
        (">>>all", ">>>${recipient}"),
        Calls(((">>>", Name(), "\n", Arguments()),), between="\n"),
        content=(">>>all\n",),
        opening=">>>",
        channels=True,
    ),
    Format(
        "functionary-v3.1",
        ("<function=", "example_function_name>{"),
        Calls((("<function=", Name(), ">", Arguments(), "</function>"),)),
    ),
    Format(
        "command-r7b",
        ("<|START_ACTION|>",),
        Calls(
            ((JsonCall("tool_name", "parameters", id_before="tool_call_id"),),),
            section=Span("<|START_ACTION|>", "<|END_ACTION|>"),
            listed=True,
        ),
        content=("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
    ),
    Format(
        "deepseek-v3.1",
        ("<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>' + tool['function']['arguments']"),
        Calls(
            (("<｜tool▁call▁begin｜>", Name(), "<｜tool▁sep｜>", Arguments(), "<｜tool▁call▁end｜>"),),
            section=Span("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
        ),
    ),
    Format(
        "deepseek-r1",
        ("<｜tool▁calls▁begin｜>",),
        Calls(
            (("<｜tool▁call▁begin｜>function<｜tool▁sep｜>", Name(), "\n```json\n", Arguments(),
              "\n```", "<｜tool▁call▁end｜>"),),
            section=Span("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
            between="\n",
        ),
    ),
    Format(
        "kimi-k2",
        ("<|tool_calls_section_begin|>",),
        Calls(
            (("<|tool_call_begin|>functions.", Name(), ":", Number(), "<|tool_call_argument_begin|>", Arguments(),
              "<|tool_call_end|>"),),
            section=Span("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
            ids="counted",
        ),
    ),
    Format(
        "minimax-m2",
        ("<minimax:tool_call>", "<invoke name="),
        Calls(
            (('<invoke name="', Name(), '">\n', TaggedArguments('<parameter name="', '">', "</parameter>\n"),
              "</invoke>"),),
            section=Span("<minimax:tool_call>\n", "\n</minimax:tool_call>"),
            between="\n",
        ),
    ),
    Format(
        "glm",
        ("<arg_key>", "<arg_value>"),
        Calls(
            (("<tool_call>", Name(), "\n", TaggedArguments("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
              "</tool_call>"),),
            between="\n",
        ),
    ),
    Format(
        "seed-oss",
        ("<seed:tool_call>",),
        Calls(
            (("<seed:tool_call>\n", "<function=", Name(), ">\n",
              TaggedArguments("<parameter=", ">", "</parameter>\n"), "</function>", "\n</seed:tool_call>"),),
            between="\n",
        ),
        reasoning=Span("<seed:think>", "</seed:think>"),
        off=(("thinking_budget", 0),),
    ),
    Format(
        "qwen3-coder",
        ("<function=", "<parameter="),
        Calls(
            (("<tool_call>\n", "<function=", Name(), ">\n", _TAGGED, "</function>", "\n</tool_call>"),),
            between="\n",
        ),
    ),
    Format(
        "mistral-v11",
        ("[TOOL_CALLS]", "[CALL_ID]"),
        Calls((("[TOOL_CALLS]", Name(), "[CALL_ID]", ShortId(), "[ARGS]", Arguments()),), ids="short"),
    ),
    Format(
        "mistral-v13",
        ("[TOOL_CALLS]", "[ARGS]"),
        Calls((("[TOOL_CALLS]", Name(), "[ARGS]", Arguments()),), ids="short"),
    ),
    Format(
        "mistral-v3",
        ("[TOOL_CALLS]",),
        Calls(((JsonCall(id_after="id"),),), section=Span("[TOOL_CALLS]", ""), listed=True, ids="short"),
    ),
    Format(
        "granite",
        ("<|tool_call|>", "<|start_of_role|>"),
        Calls(((JsonCall(),),), section=Span("<|tool_call|>", ""), listed=True),
        content=("<response>", "</response>"),
    ),
    Format(
        "apriel",
        ("<tool_calls>[",),
        Calls(((JsonCall(),),), section=Span("<tool_calls>", "</tool_calls>"), listed=True),
    ),
    Format(
        "nemotron-nano-v2",
        ("<TOOLCALL>",),
        Calls(((JsonCall(),),), section=Span("<TOOLCALL>", "</TOOLCALL>"), listed=True),
    ),
    Format("hermes", ("<tool_call>", '"arguments": '), GENERIC.calls),
    Format(
        "llama-3",
        ("<|start_header_id|>", "ipython", '"parameters": '),
        Calls(((JsonCall(arguments="parameters"),), ("<|python_tag|>", JsonCall(arguments="parameters"))),
              parallel=False),
    ),
)  # fmt: skip


def family_of(template: str) -> Format | None:
    """The family that a template's source shows, None if it is none of them."""
    return next((family for family in FAMILIES if all(sign in template for sign in family.signs)), None)


def reasoning_of(template: str) -> Span | None:
    """What stands around reasoning in answers to a template; None if it knows none."""
    return next((span for span in REASONING if span.begin in template or span.end in template), None)
