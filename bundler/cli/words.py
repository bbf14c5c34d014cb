"""What people call things who come from another program: their words are answered with what it is called here."""

from __future__ import annotations

import click

ANSWERS = {
    "pull": "`loaf build hf:OWNER/REPO:QUANT` or `loaf build ollama:NAME` fetches a model into a file.",
    "download": "`loaf build hf:OWNER/REPO:QUANT` or `loaf build ollama:NAME` fetches a model into a file.",
    "create": "`loaf build MODEL` makes one file of a model; `--system`, `--args` and a recipe (-f) say the rest.",
    "serve": "`loaf run MODEL --server --nobrowser` serves without a build; a built file serves with ./FILE --server.",
    "server": "`loaf run MODEL --server --nobrowser` serves without a build; a built file serves with ./FILE --server.",
    "chat": "`loaf run MODEL` chats without a build; a built file chats with ./FILE.",
    "list": "`loaf models` lists what this machine has.",
    "ls": "`loaf models` lists what this machine has.",
    "show": "`loaf inspect FILE` says what is in it.",
    "sbom": "`loaf inspect --sbom FILE` lists the software and the models in a file.",
    "quantize": "`loaf build MODEL --quantize Q4_K_M` quantizes what goes into the file.",
    "convert": "A model in safetensors is made a GGUF by llama.cpp's convert_hf_to_gguf.py; `loaf build` takes that.",
    "rm": "A model is a file here: delete that.",
    "cp": "A model is a file here: copy that.",
    "ps": "A model that runs is a process of its own, by the file's name.",
    "stop": "A model that runs is a process of its own: Ctrl-C or kill ends it.",
    "push": "A model is a file here: upload that.",
}
"""By the words of Ollama and LM Studio's `lms`, and what is a flag here."""


class Commands(click.Group):
    """Commands by their names; words of other programs are answered with what is meant here."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """All of each command's first sentence, on as many lines as it takes: click cuts it after the first."""
        named = ((name, self.commands[name].get_short_help_str(limit=1000)) for name in self.commands)
        with formatter.section("Commands"):
            formatter.write_dl(sorted(named))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word in ANSWERS and word not in self.commands:
            raise click.UsageError(f"There is no `loaf {word}`. {ANSWERS[word]}", ctx)
        return super().resolve_command(ctx, args)
