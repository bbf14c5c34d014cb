"""The bundle's command line: flags become settings.

Imports little, because `--version` and `--help` should answer at once.
"""

from __future__ import annotations

import gc
import math
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime import __version__
from runtime.exits import errors_as_exit_codes

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engine.backend import Adapter
    from runtime.settings import Settings

_INT32 = 2**31 - 1
_CACHE_TYPE = click.Choice(["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"])


def main() -> None:
    """The program. The launcher names the bundle in `LOAF_BUNDLE`."""
    _restore_library_path()
    with errors_as_exit_codes():
        path = os.environ.pop("LOAF_BUNDLE", None)
        bundle = None if path is None or _asks_about_the_program() else _open_bundle(path)
        arguments, defaults = _merge_arguments(bundle, sys.argv[1:])
        command.main(
            args=arguments,
            prog_name=Path(path).name if path else "python -m runtime",
            obj=bundle,
            default_map=defaults,
            auto_envvar_prefix="LOAF",
            standalone_mode=False,
        )


@click.command(context_settings={"max_content_width": 110})
@click.option("--server", is_flag=True, help="Serve the model (what happens without any flag, too).")
@click.option("--nobrowser", is_flag=True, help="Do not open the page in a browser.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--slot-save-path", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder where the states of slots may be saved, and restored from.",
)  # fmt: skip
@click.option("-p", "--prompt", help="Answer once, to standard output, and exit.")
@click.option("--raw", is_flag=True, help="Take the prompt as bare text, without the chat template.")
@click.option("--system", "-sys", help="System prompt of chats that bring none.")
@click.option(
    "-n", "--n-predict", type=click.IntRange(-1, _INT32), default=-1, show_default=True,
    help="Tokens to generate at most; -1: until the model ends or the context is full.",
)  # fmt: skip
@click.option("-m", "--model", type=click.Path(path_type=Path), help="Load this GGUF instead of the one inside.")
@click.option(
    "-c", "--ctx-size", type=click.IntRange(0, _INT32), default=0, show_default=True,
    help="Context in tokens, shared by all requests; 0: the model's own, as far as memory allows.",
)  # fmt: skip
@click.option(
    "-np", "--parallel", type=click.IntRange(0, 256), default=0, show_default=True,
    help="Requests at once; 0: up to 16, as the context allows.",
)  # fmt: skip
@click.option(
    "-t", "--threads", type=click.IntRange(0, 1024), default=0, show_default=True,
    help="Threads; 0: as many as this process may use.",
)  # fmt: skip
@click.option(
    "-b", "--batch-size", type=click.IntRange(1, _INT32), default=2048, show_default=True,
    help="Tokens of all requests that are computed in one step.",
)  # fmt: skip
@click.option(
    "-ub", "--ubatch-size", type=click.IntRange(1, _INT32), default=512, show_default=True,
    help="Tokens that are computed at once; more memory when larger.",
)  # fmt: skip
@click.option(
    "-fa", "--flash-attn", type=click.Choice(["on", "off", "auto"]), default="auto", show_default=True,
    help="Flash attention; auto: where the device has it.",
)  # fmt: skip
@click.option("-ctk", "--cache-type-k", type=_CACHE_TYPE, default="f16", show_default=True, help="How K is kept.")
@click.option("-ctv", "--cache-type-v", type=_CACHE_TYPE, default="f16", show_default=True, help="How V is kept.")
@click.option("--no-mmap", is_flag=True, help="Read the weights into memory instead of mapping the file.")
@click.option("--mlock", is_flag=True, help="Keep the weights in memory, never in swap.")
@click.option(
    "--no-repack", is_flag=True,
    help="Use all weights as they lie in the file; otherwise some are laid out anew, for faster prompts.",
)  # fmt: skip
@click.option("--context-shift", is_flag=True, help="Forget the oldest tokens when the context is full, and go on.")
@click.option("--lookup", is_flag=True, help="Guess what repeats the prompt, for speed; the text stays the same.")
@click.option(
    "--draft-max", type=click.IntRange(1, 64), default=16, show_default=True,
    help="Tokens that --lookup guesses at once.",
)  # fmt: skip
@click.option("--lora", "lora", multiple=True, type=click.Path(path_type=Path), help="Apply this LoRA adapter (GGUF).")
@click.option("--lora-scaled", multiple=True, metavar="FILE:SCALE", help="The same, as strongly as SCALE says.")
@click.option(
    "--pooling", type=click.Choice(["none", "mean", "cls", "last", "rank"]),
    help="How the vectors of a text's tokens become one; otherwise the model's own way, or mean.",
)  # fmt: skip
@click.option("--temp", type=float, default=0.8, show_default=True, help="Temperature; 0 is greedy.")
@click.option("-s", "--seed", type=int, default=-1, show_default=True, help="Seed of sampling; -1: random.")
@click.option("--info", is_flag=True, allow_from_autoenv=False, help="Say what is in this file, and exit.")
@click.version_option(__version__, message="%(prog)s, loaf %(version)s", allow_from_autoenv=False)
@click.help_option("-h", "--help", allow_from_autoenv=False)
@click.pass_obj
def command(bundle: Bundle | None, /, info: bool, **flags: Any) -> None:
    """A language model in one file: it serves an API and a page, or answers in the terminal."""
    if info:
        from runtime.info import describe

        click.echo(describe(bundle))
        return
    _run(bundle, _settings(bundle, **flags))


def _run(bundle: Bundle | None, settings: Settings) -> None:
    """Answer once or serve. The model begins to load before the server is imported, which takes as long."""
    from runtime.loading import open_model

    stopped = threading.Event()
    if settings.prompt is None:
        for number in (signal.SIGINT, signal.SIGTERM):  # until the server has handlers of its own
            signal.signal(number, lambda _number, _frame: stopped.set())
    served = open_model(bundle, settings)
    try:
        if settings.prompt is not None:
            from runtime.terminal import answer_once

            _begin_to_collect()
            answer_once(served, settings)
        else:
            from runtime.server.serve import serve

            _begin_to_collect()
            serve(served, settings, stopped)
    finally:
        served.stop()
        served.engine.join()


def _begin_to_collect() -> None:
    """What has been imported stays: the collector need not look at it."""
    gc.freeze()
    gc.enable()


def _settings(bundle: Bundle | None, **flags: Any) -> Settings:
    from runtime.engine.backend import LoadSettings
    from runtime.engine.types import Sampling
    from runtime.settings import EngineSettings, ServerSettings, Settings

    inside = bundle.manifest.system if bundle else None
    return Settings(
        model=flags["model"],
        prompt=flags["prompt"],
        raw=flags["raw"],
        system=flags["system"] if flags["system"] is not None else inside,
        max_tokens=None if flags["n_predict"] < 0 else flags["n_predict"],
        server=ServerSettings(
            flags["host"], flags["port"], open_browser=not flags["nobrowser"], slot_save_path=flags["slot_save_path"]
        ),
        engine=EngineSettings(
            n_ctx=flags["ctx_size"] or None,
            n_slots=flags["parallel"] or None,
            n_batch=flags["batch_size"],
            n_ubatch=flags["ubatch_size"],
            n_threads=flags["threads"] or None,
            flash_attention={"on": True, "off": False, "auto": None}[flags["flash_attn"]],
            cache_type_k=flags["cache_type_k"],
            cache_type_v=flags["cache_type_v"],
            adapters=_adapters(flags["lora"], flags["lora_scaled"]),
            pooling=flags["pooling"],
            context_shift=flags["context_shift"],
            max_draft=flags["draft_max"] if flags["lookup"] else 0,
            load=LoadSettings(mmap=not flags["no_mmap"], mlock=flags["mlock"], repack=not flags["no_repack"]),
        ),
        sampling=Sampling(seed=None if flags["seed"] == -1 else flags["seed"], temperature=flags["temp"]),
    )


def _adapters(plain: tuple[Path, ...], scaled: tuple[str, ...]) -> tuple[Adapter, ...]:
    from runtime.engine.backend import Adapter, Weights

    adapters = [Adapter(path.stem, Weights(path)) for path in plain]
    for text in scaled:
        name, colon, number = text.rpartition(":")
        try:
            scale = float(number)
        except ValueError:
            scale = math.nan
        if not colon or not math.isfinite(scale):
            raise click.BadParameter(
                f"{text!r}: must be FILE:SCALE, as in adapter.gguf:0.5", param_hint="--lora-scaled"
            )
        adapters.append(Adapter(Path(name).stem, Weights(Path(name)), scale))
    return tuple(adapters)


def _asks_about_the_program() -> bool:
    """Whether the first flag is one that is answered without looking into the bundle, so sooner."""
    return sys.argv[1:2] in (["--version"], ["--help"], ["-h"])


def _open_bundle(path: str) -> Bundle:
    from runtime.bundle import open_bundle

    return open_bundle(Path(path))


def _merge_arguments(bundle: Bundle | None, user: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The command line, and the defaults from `.args`, which the environment and the command line override."""
    if bundle is None or not bundle.args:
        return user, {}
    from runtime.arguments import parse_arguments

    baked = parse_arguments(bundle.args, os.environ)
    context = click.Context(command, resilient_parsing=True)
    defaults, rest, _order = command.make_parser(context).parse_args(list(baked.before))
    if rest:
        raise click.UsageError(f".args in the bundle: unexpected argument {rest[0]!r}")
    return [*user, *baked.after], dict(defaults)


def _restore_library_path() -> None:
    """Give programs that we start (a browser) the library path that PyInstaller's start-up replaced."""
    if not getattr(sys, "frozen", False):
        return
    original = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    if original is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = original
