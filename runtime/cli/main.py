"""The program from its first line to its last: which bundle, which settings, then answer or serve."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.backends import ASK_FOR_DEVICES
from runtime.cli.completion import VARIABLE
from runtime.cli.flags import with_all_flags
from runtime.cli.options import QUANTIZE, REHEARSE, WARM_UP
from runtime.cli.sooner import leave_tls_out
from runtime.cli.version import NAME_FROM_SOURCE
from runtime.errors import escaped
from runtime.exits import errors_as_exit_codes
from runtime.machine.program import restore_environment

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.server.serve import Beside
    from runtime.settings import BatchSettings, Settings


def main() -> None:
    """The program. The launcher names the bundle in `LOAF_BUNDLE`."""
    restore_environment()
    if sys.argv[1:2] == [ASK_FOR_DEVICES]:
        from runtime.backends.probe import answer

        answer(sys.argv[2])
    if sys.argv[1:2] == [QUANTIZE]:
        from runtime.engine.llama.quantizer import quantize_and_exit

        quantize_and_exit(sys.argv[2])
    with errors_as_exit_codes():
        path = os.environ.pop("LOAF_BUNDLE", None)
        bundle = None if path is None or _asks_about_the_program() else _open_bundle(path)
        if bundle is not None and sys.argv[1:2] in ([REHEARSE], [WARM_UP]):
            _answer_the_build(bundle, *sys.argv[1:])
            return
        arguments, defaults = _merge_arguments(bundle, sys.argv[1:])
        command.main(
            args=arguments,
            prog_name=Path(path).name if path else NAME_FROM_SOURCE,
            obj=bundle,
            default_map=defaults,
            auto_envvar_prefix="LOAF",
            complete_var=VARIABLE,
            standalone_mode=False,
        )


@with_all_flags
@click.pass_obj
def command(
    bundle: Bundle | None, /, info: bool, list_devices: bool, explain: bool, uninstall: bool, **flags: Any
) -> None:
    """A language model in one file: it serves an API and a page, and chats or answers in the terminal."""
    unpacked_now = os.environ.pop("LOAF_UNPACKED", None) is not None  # the launcher had to, for this very call
    if info:
        from runtime.cli.info import describe

        click.echo(describe(bundle))
        return
    if uninstall:
        _uninstall(bundle, unpacked_now=unpacked_now)
        return
    if list_devices:
        from runtime.backends.listing import describe_devices

        for line in describe_devices(bundle, flags["rpc"] or ()):
            click.echo(line)
        return
    from runtime.cli.translate import settings_from

    context = click.get_current_context()
    settings = settings_from(bundle.manifest if bundle else None, context, bundle.path.name if bundle else "")
    if settings.remote is not None:
        settings = _with_fetched(settings, only_look=explain)
    if explain:
        from runtime.explaining.launch import describe_launch
        from runtime.explaining.sentences import sentences

        for line in sentences(describe_launch(bundle, settings)):
            click.echo(line)
        return
    _run(bundle, settings)


def _uninstall(bundle: Bundle | None, *, unpacked_now: bool) -> None:
    from runtime.backends.unpacking import cache_folder
    from runtime.cli.uninstalling import uninstall

    if bundle is None:
        raise click.UsageError("--uninstall belongs to a file that unpacks its program.")
    for line in uninstall(bundle, cache_folder(), unpacked_now=unpacked_now):
        click.echo(escaped(line))


def _with_fetched(settings: Settings, *, only_look: bool) -> Settings:
    """`settings` whose model is a file: fetched first, unless it is only to be looked for."""
    import msgspec

    from runtime.backends.unpacking import cache_folder
    from runtime.console.fetching import announce
    from runtime.fetching.models import fetch_model, find_model

    assert settings.remote is not None
    if only_look:
        path = find_model(settings.remote, cache_folder())
    else:
        path = fetch_model(settings.remote, cache_folder(), announce)
    return msgspec.structs.replace(settings, model=path, remote=None)


def _answer_the_build(bundle: Bundle, asked: str, *paths: str) -> None:
    from runtime.cli.building import rehearse, warm_up

    arguments, defaults = _merge_arguments(bundle, [])
    if asked == REHEARSE:
        rehearse(bundle, command, arguments, defaults)
    else:
        warm_up(bundle, command, arguments, defaults, *map(Path, paths))


def _run(bundle: Bundle | None, settings: Settings) -> None:
    """Answer once, or a batch, chat, serve. Models begin to load before the server is imported, which takes as long."""
    if settings.log.is_wanted:
        from runtime.machine.logs import start_logging

        start_logging(verbose=settings.log.verbose, file=settings.log.file, form=settings.log.format)
    if settings.worker is not None:
        from runtime.offloading.worker import work

        work(bundle, settings)
    if settings.batch is not None and settings.batch.servers:
        _run_elsewhere(settings.batch, settings)
        return
    if settings.server.tls is None:
        leave_tls_out()
    from runtime.models.loading import open_models

    stopped = threading.Event()
    if settings.prompt is None and settings.serves:
        for number in (signal.SIGINT, signal.SIGTERM):  # until the server has handlers of its own
            signal.signal(number, lambda _number, _frame: stopped.set())
    begins_anew = False
    served = open_models(bundle, settings)
    try:
        if settings.prompt is not None:
            from runtime.console.once import answer_once

            _begin_to_collect()
            answer_once(served[0], settings)
        elif settings.batch is not None:
            from runtime.batch.here import of_models
            from runtime.batch.run import run_batch

            _begin_to_collect()
            run_batch(of_models(served, settings), settings.batch, stopped)
        elif not settings.serves:
            from runtime.console.begin import chat

            _begin_to_collect()
            chat(served, settings)
        else:
            if settings.chats is None:
                _tell_of_what_is_piped_in()
            from runtime.server.sooner import import_app

            import_app()
            from runtime.server.serve import serve

            _begin_to_collect()
            begins_anew = serve(served, settings, stopped, _chat_beside(settings))
    finally:
        for one in served:
            one.stop()
        for one in served:
            one.engine.join()
    if begins_anew:
        from runtime.machine.program import begin_anew

        begin_anew(bundle.path if bundle else None)


def _run_elsewhere(batch: BatchSettings, settings: Settings) -> None:
    """Have other servers answer: nothing is loaded here."""
    from runtime.batch.elsewhere import of_servers
    from runtime.batch.run import run_batch

    _begin_to_collect()
    key = next(iter(settings.server.api_keys), None)
    run_batch(of_servers(batch.servers, key, batch.at_once), batch, threading.Event())


def _chat_beside(settings: Settings) -> Beside | None:
    """What chats in the terminal while the models are served, if anything does."""
    if settings.chats is False:
        return None
    from runtime.console.abilities import has_terminal

    if settings.chats is None and not has_terminal():
        return None
    from runtime.console.begin import chat_beside

    return lambda served: chat_beside(served, settings)


def _tell_of_what_is_piped_in() -> None:
    from runtime.console.abilities import is_piped_in

    if is_piped_in():
        click.echo("What is piped in is not read: -p '' answers it, -p TEXT asks something about it.", err=True)


def _begin_to_collect() -> None:
    """What has been imported stays: the collector need not look at it."""
    gc.freeze()
    gc.enable()


def _asks_about_the_program() -> bool:
    """Whether the first flag is one that is answered without looking into the bundle, so sooner."""
    return sys.argv[1:2] in (["--version"], ["--help"], ["-h"], ["--completion"]) or VARIABLE in os.environ


def _open_bundle(path: str) -> Bundle:
    from runtime.bundle import check_has_models, open_bundle

    bundle = open_bundle(Path(path))
    check_has_models(bundle)
    return bundle


def _merge_arguments(bundle: Bundle | None, user: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The command line, and the defaults from `.args`, which the environment and the command line override."""
    if bundle is None or not bundle.args:
        return user, {}
    from runtime.cli.arguments import parse_arguments

    baked = parse_arguments(bundle.args, os.environ)
    try:
        defaults, rest, _order = command.make_parser(click.Context(command)).parse_args(list(baked.before))
    except click.UsageError as error:
        raise click.UsageError(f".args in the bundle: {error.format_message()}") from error
    if rest:
        raise click.UsageError(f".args in the bundle: unexpected argument {rest[0]!r}")
    return [*user, *baked.after], dict(defaults)
