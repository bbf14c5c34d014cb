"""The command line without a model: flags into settings, flags that change nothing, and what the help shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from runtime.cli.main import command
from runtime.cli.options import GROUPS, SAMPLING
from runtime.cli.sampling import FIELD_NAMES
from runtime.cli.translate import settings_from
from runtime.cli.unused import unused_options
from runtime.engine.placement import TensorBuffer, WorkerAddress
from runtime.engine.settings import ControlVectors, MetadataOverride, Rope
from runtime.engine.types import Sampling
from runtime.memory.layers import MAX_LAYERS
from runtime.settings import (
    ChatSettings,
    HubModel,
    Secret,
    ServerSettings,
    Settings,
    TlsFiles,
    WebModel,
    WorkerSettings,
)
from support.places import ROOT


def settings(*flags: str, **baked: Any) -> Settings:
    """What `flags` mean, and those `baked` into the file. Raises click's errors."""
    return settings_from(None, command.make_context("loaf", list(flags), default_map=baked, auto_envvar_prefix="LOAF"))


def test_no_flag_means_the_defaults() -> None:
    assert settings() == Settings()


MEANINGS: list[tuple[str, str, Any]] = [
    ("--host ::1,127.0.0.1", "server.hosts", ("::1", "127.0.0.1")),
    ("--host x.sock", "server.hosts", ("x.sock",)),
    ("-a one,two", "aliases", ("one", "two")),
    ("--tags small,chat", "tags", ("small", "chat")),
    ("--api-key a,b --api-key c", "server.api_keys", ("a", "b", "c")),
    ("--cors-origins https://A.example/,http://b:1", "server.cors_origins", ("https://a.example", "http://b:1")),
    ("--cors-origins *", "server.cors_origins", ("*",)),
    ("--socket-mode 660", "server.socket_mode", 0o660),
    ("--api-prefix llm/", "server.api_prefix", "/llm"),
    ("--api-prefix /", "server.api_prefix", ""),
    ("-hf a/b-GGUF", "remote", HubModel("a/b-GGUF")),
    ("-hf a/b:q4_k_m", "remote", HubModel("a/b", "q4_k_m")),
    ("-mu https://h/m.gguf", "remote", WebModel("https://h/m.gguf")),
    ("--ssl-cert-file c --ssl-key-file k", "server.tls", TlsFiles(Path("c"), Path("k"))),
    ("--timeout 5", "server.timeout", 5),
    ("--no-ui", "server.serves_page", False),
    ("--no-webui", "server.serves_page", False),
    ("--no-slots", "server.shows_slots", False),
    ("--metrics", "server.shows_metrics", True),
    ("--props", "server.shows_props_changes", True),
    ("--chat-template {{x}}", "chat.template", "{{x}}"),
    ('--chat-template-kwargs {"a":[1]}', "chat.template_values", {"a": [1]}),
    ("--reasoning on", "chat.reasoning", True),
    ("--reasoning off", "chat.reasoning", False),
    ("--reasoning-budget 0", "chat.reasoning", False),
    ("--reasoning-budget -1", "chat.reasoning", None),
    ("--reasoning-budget -1", "chat.thought_tokens", None),
    ("--reasoning-budget 5", "chat.thought_tokens", 5),
    ("--reasoning-budget 5 --reasoning-budget-message enough", "chat.thought_message", "enough"),
    ("--reasoning-format none", "chat.splits_reasoning", False),
    ("--reasoning-effort high", "chat.template_values", {"reasoning_effort": "high"}),
    ("--reasoning-effort default", "chat.template_values", {}),
    (
        '--reasoning-effort high --chat-template-kwargs {"reasoning_effort":"low"}',
        "chat.template_values",
        {"reasoning_effort": "low"},
    ),
    ("--reranking", "engine.pooling", "rank"),
    ("-nkvo", "engine.cache_beside_layers", False),
    ("--kv-offload", "engine.cache_beside_layers", True),
    ("--rope-scale 4", "engine.rope", Rope(freq_scale=0.25)),
    (
        "--rope-scaling yarn --yarn-orig-ctx 9 --yarn-ext-factor -1",
        "engine.rope",
        Rope("yarn", yarn_orig_ctx=9, yarn_ext_factor=-1.0),
    ),
    (
        "--override-kv a.b=int:-3,c=float:.5 --override-kv d=bool:true,e=str:x=y",
        "engine.load.overrides",
        (
            MetadataOverride("a.b", -3),
            MetadataOverride("c", 0.5),
            MetadataOverride("d", True),
            MetadataOverride("e", "x=y"),
        ),
    ),
    (
        "--control-vector a --control-vector-scaled b:-2 --control-vector-layer-range 3 5",
        "engine.control",
        ControlVectors(((Path("a"), 1.0), (Path("b"), -2.0)), 3, 5),
    ),
    ("--cpu-moe", "gpu.cpu_experts", MAX_LAYERS),
    ("-ncmoe 3", "gpu.cpu_experts", 3),
    (
        "-ot a=CPU,b.*=RPC0[h:1] -ot c=X",
        "gpu.tensor_buffers",
        (TensorBuffer("a", "CPU"), TensorBuffer("b.*", "RPC0[h:1]"), TensorBuffer("c", "X")),
    ),
    ("-fitt 1024", "gpu.spare", (2**30,)),
    ("--fit-target 1,0", "gpu.spare", (2**20, 0)),
    ("-t -1", "engine.n_threads", None),
    ("-fa -np 3", "engine.flash_attention", True),
    ("-fa off", "engine.flash_attention", False),
    ("-s -1", "sampling.seed", None),
    ("--temperature 0.1", "sampling.temperature", 0.1),
    ("--typical-p 0.5", "sampling.typical_p", 0.5),
    ("--mirostat 2 --mirostat-ent 4 --mirostat-lr 0.2", "sampling.mirostat_tau", 4),
    ("--samplers top_k;temperature", "sampling.samplers", ("top_k", "temperature")),
    ("--ignore-eos", "sampling.ignore_eos", True),
    ("-l 5+1.5 -l 6-inf", "sampling.logit_bias", ((5, 1.5), (6, float("-inf")))),
    ("--grammar root::=[a]", "sampling.grammar", "root::=[a]"),
    ("-p hello", "prompt", "hello"),
    ("--chat", "serves", False),
    ("--chat", "chats", True),
    ("--server", "chats", False),
    ("--chat --server", "serves", True),
    ("-f -", "prompt", ""),
    ("--rpc a.example:1,10.0.0.2", "gpu.workers", (WorkerAddress("a.example", 1), WorkerAddress("10.0.0.2", 50052))),
    ("--worker", "worker", WorkerSettings()),
    ("--worker --worker-insecure", "worker", WorkerSettings(beyond_loopback=True)),
    ("--worker", "server.port", 50052),
    ("--port 7 --worker", "server.port", 7),
    ("--dry-sequence-breaker none", "sampling.dry_sequence_breakers", ()),
]


@pytest.mark.parametrize(("flags", "field", "value"), MEANINGS, ids=[row[0] for row in MEANINGS])
def test_flags_mean(flags: str, field: str, value: Any) -> None:
    found: Any = settings(*flags.split())
    for name in field.split("."):
        found = getattr(found, name)
    assert found == value


def test_text_may_be_in_files(tmp_path: Path) -> None:
    for name, text in {"t": "{{ x }}", "g": 'root ::= "a"', "s": '{"const": 1}', "k": "one\n\n two \n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert settings("--chat-template-file", f"{tmp_path}/t").chat.template == "{{ x }}"
    for flag in ("--grammar-file", "--grammar"):
        assert settings(flag, f"{tmp_path}/g").sampling.grammar == 'root ::= "a"'
    for flag in ("-jf", "--json-schema"):
        assert "1" in settings(flag, f"{tmp_path}/s").sampling.grammar
    assert settings("-f", f"{tmp_path}/k").prompt == "one\n\n two ", "without the newline that files end with"
    assert settings("--api-key-file", f"{tmp_path}/k", "--api-key", "zero").server.api_keys == ("zero", "one", "two")


def test_a_service_of_kubernetes_is_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sets in every pod beside a service named loaf; `LOAF_PORT` as people set it still counts."""
    for name, value in {
        "LOAF_PORT": "tcp://10.96.0.7:8080",
        "LOAF_PORT_8080_TCP": "tcp://10.96.0.7:8080",
        "LOAF_PORT_8080_TCP_ADDR": "10.96.0.7",
        "LOAF_PORT_8080_TCP_PROTO": "tcp",
        "LOAF_SERVICE_HOST": "10.96.0.7",
        "LOAF_SERVICE_PORT": "8080",
    }.items():
        monkeypatch.setenv(name, value)
    assert settings() == Settings()
    monkeypatch.setenv("LOAF_PORT", "7")
    assert settings().server.port == 7
    monkeypatch.setenv("LOAF_PORT", "seven")
    with pytest.raises(click.BadParameter, match="not a whole number"):
        settings()


@pytest.mark.parametrize("variable", ["LOAF_API_KEY", "LLAMA_API_KEY"])
def test_keys_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "a,b")
    assert settings().server.api_keys == ("a", "b")


REFUSED = [
    ("--api-key a,,b", "empty"),
    ("--api-key=", "empty"),
    ("--host ,", "empty"),
    ("--cors-origins example.org", "https://"),
    ("--cors-origins https://example.org/path", "https://"),
    ("--socket-mode 4755", "permissions"),
    ("--socket-mode rw", "permissions"),
    ("--api-prefix /a?b", "no path"),
    ("--api-prefix a//b", "no path"),
    ("--ssl-cert-file c", "--ssl-key-file"),
    ("--ssl-key-file k", "--ssl-cert-file"),
    ("--temp nan", "not a number"),
    ("--top-p inf", "not a number"),
    ("--repeat-penalty 0", "not more than 0"),
    ("--mirostat 3", "0 to 2"),
    ("--seed 99999999999", "2147483647"),
    ("--samplers top_k;best", "best"),
    ("--logit-bias five+1", "15043+1"),
    ("--logit-bias 1+nan", "15043+1"),
    ("--chat-template llama5", "chatml"),
    ("-hf model.gguf", "OWNER/REPO:QUANT"),
    ("-hf a/../b", "OWNER/REPO:QUANT"),
    ("-m x -hf a/b", "not both"),
    ("--chat-template-kwargs [1]", "object"),
    ("--chat-template-kwargs {", "not JSON"),
    ("--json-schema {", "not JSON"),
    ("--json-schema {} --grammar x", "not both"),
    ("--json-schema no/such.json", "neither a schema nor a file that can be read: No such file"),
    ("--grammar no/such.gbnf", "neither a grammar nor a file that can be read: No such file"),
    ("--grammar .", "Is a directory"),
    ("-p x -f y", "not both"),
    ("--chat -p x", "not both"),
    ("--chat --batch in -o out", "not both"),
    ("--audio x.wav", "--audio goes with a prompt"),
    ("--image x.png", "--image goes with a prompt"),
    ("--image x.png -p hm --raw", "Either --image or --raw"),
    ("--grammar x --grammar-file y", "not both"),
    ("--reasoning on --reasoning-budget 0", "off"),
    ("--reasoning-budget -2", "-1 to"),
    ("--reranking --pooling mean", "rank"),
    ("--split-mode row", "layers only"),
    ("--split-mode rows", "none"),
    ("--rope-scale 2 --rope-freq-scale 1", "not both"),
    ("--rope-scale 0", "not more than 0"),
    ("--rope-freq-base 1e39", "not a number"),
    ("--yarn-ext-factor nan", "not a number"),
    ("--override-kv a=int:x", "not a whole number"),
    ("--override-kv a=int:9223372036854775808", "9223372036854775807"),
    ("--override-kv a=bool:1", "KEY=int:N"),
    ("--override-kv a:int=1", "KEY=int:N"),
    (f"--override-kv a=str:{'x' * 128}", "127 bytes"),
    (f"--override-kv {'k' * 128}=int:1", "127 bytes"),
    ("--control-vector-scaled a:inf", "FILE:SCALE"),
    ("--control-vector-layer-range 1 2", "needs --control-vector"),
    ("--control-vector x --control-vector-layer-range 3 2", "no layers"),
    ("--control-vector x --control-vector-layer-range 0 2", "1 to"),
    ("--cpu-moe --n-cpu-moe 1", "not both"),
    ("--n-cpu-moe -1", "0 to"),
    ("-ot a", "PATTERN=BUFFER"),
    ("-ot =CPU", "PATTERN=BUFFER"),
    ("-ot (=CPU", "no regular expression"),
    ("-fitt -1", "0 to"),
    ("-fitt 1,,2", "not a whole number"),
    ("--rpc host:port", "HOST:PORT"),
    ("--rpc http://10.0.0.2:1", "HOST:PORT"),
    ("--rpc [::1]:50052", "HOST:PORT"),
    ("--rpc 10.0.0.2:0", "1 to 65535"),
    ("--rpc 10.0.0.2:65536", "1 to 65535"),
    ("--rpc a,,b", "empty"),
    ("--rpc a:1,A:1", "twice"),
    (f"--rpc {','.join(f'h{i}' for i in range(17))}", "16"),
    ("--rpc a --worker", "Either --worker or --rpc"),
    ("--worker-insecure", "needs --worker"),
    ("--ctx 5x", "--ctx"),
    ("--server -p hi", "Either --server or something to answer"),
    ("--chat -p hi", "Either --chat or something to answer"),
    ("--chat --server --batch a --output b", "Either --chat or something to answer"),
    ("--server -f -", "Either --server or something to answer"),
    ("--raw", "--raw goes with a prompt (-p, -f)"),
    ("--raw --chat", "--raw goes with a prompt (-p, -f)"),
]


@pytest.mark.parametrize(("flags", "says"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_makes_no_sense_is_refused(flags: str, says: str) -> None:
    with pytest.raises(click.UsageError) as raised:
        settings(*flags.split())
    assert says in raised.value.format_message()


def test_a_file_that_serves_or_chats_answers_all_the_same_where_that_is_typed() -> None:
    for baked in ({"server": True}, {"chat": True}, {"server": True, "raw": True}):
        assert settings("-p", "hi", **baked) == msgspec.structs.replace(settings("-p", "hi"), raw="raw" in baked)
    assert settings(raw=True, server=True) == msgspec.structs.replace(settings("--server"), raw=True)
    with pytest.raises(click.UsageError, match="Either --server or something to answer"):
        settings("--server", prompt="hi")


def test_an_empty_file_of_keys_protects_nobody(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("\n \n")
    with pytest.raises(click.UsageError, match="no key"):
        settings("--api-key-file", f"{tmp_path}/keys")
    (tmp_path / "keys").write_bytes(b"\xff\xfe")
    with pytest.raises(click.UsageError, match="UTF-8"):
        settings("--api-key-file", f"{tmp_path}/keys")


def test_a_key_is_not_shown_where_settings_are() -> None:
    shown = repr(Settings(server=ServerSettings(api_keys=(Secret("swordfish"),))))
    assert "Secret" in shown
    assert "swordfish" not in shown


def test_defaults_of_sampling_are_the_engine_s() -> None:
    """They are written twice, because the help should not have to import the engine."""
    defaults = msgspec.structs.asdict(Sampling())
    context = click.Context(command)
    for option in SAMPLING:
        assert option.name is not None
        field = FIELD_NAMES.get(option.name, option.name)
        default = option.get_default(context)
        if field in defaults and default is not None and field != "seed" and not option.multiple:
            assert default == defaults[field], field
    assert settings().chat == ChatSettings()


@pytest.mark.parametrize("option", unused_options(), ids=lambda option: option.opts[-1])
def test_flags_that_change_nothing_are_taken(option: click.Option, capsys: pytest.CaptureFixture[str]) -> None:
    for name in option.opts:
        flags = [name] if option.is_flag else [name, "3"]
        assert settings(*flags) == Settings()
        said = capsys.readouterr().err
        assert said == "" or said.startswith(f"{option.opts[-1]} changes nothing: ")


def test_the_help_shows_every_flag_in_its_group() -> None:
    text = CliRunner().invoke(command, ["--help"], terminal_width=110).output
    for name, options in GROUPS:
        assert f"\n{name}:\n" in text
        for option in options:
            assert f"{option.opts[-1]}" in text
            assert option.help is not None
            assert option.help.endswith(".")
    for option in unused_options():
        assert not any(f" {name} " in text or f" {name}," in text for name in option.opts)


def test_no_flag_has_two_meanings() -> None:
    names = [name for param in command.params for name in (*param.opts, *param.secondary_opts)]
    assert sorted(names) == sorted(set(names))


def test_every_flag_is_documented() -> None:
    text = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")
    missing = [
        name
        for param in command.params
        for name in (*param.opts, *param.secondary_opts)
        if f"`{name}`" not in text and f"`{name} " not in text
    ]
    assert not missing, json.dumps(missing)
