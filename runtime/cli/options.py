"""Every flag, in the groups of `--help`. Names are llama-server's where it has the flag.

Knows names, types, defaults and help. What a flag means is for `translate.py`; flags without effect are in `unused.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from runtime.cli.lists import (
    WORKER_PORT,
    CommaList,
    Mebibytes,
    Metadata,
    Origins,
    ServerAddresses,
    Shares,
    TensorBuffers,
    WorkerAddresses,
)
from runtime.cli.values import (
    FileMode,
    FiniteNumber,
    FolderAndSize,
    GpuName,
    HubName,
    LayerCount,
    PathPrefix,
    SplitModeName,
    Whole,
)

REHEARSE = "--rehearse"
WARM_UP = "--warm-up"
"""No flags for anybody: what a program is asked while its bundle is built. Whether it understands what is baked in;
and, before two paths, to compute the text in the first and write its state to the second."""

QUANTIZE = "--quantize-weights"
"""The same: the program makes a smaller GGUF, as the `QuantizeRequest` behind it says (`engine/llama/`)."""

_FILE = click.Path(path_type=Path)
_COUNT = Whole()
_LAYERS = Whole(0, 65535)
_WINDOW = Whole(-1)
_NUMBER = FiniteNumber()
_ADDRESS_OF_A_SERVICE = re.compile("(?:tcp|udp|sctp)://")
_CACHE_TYPE = click.Choice(["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"])


def _switch(names: str, help: str, **more: Any) -> click.Option:
    return click.Option(names.split(), is_flag=True, show_default=more.get("default") is not None, help=help, **more)


_OptionClass = type[click.Option]


class _Port(click.Option):
    """Kubernetes sets `LOAF_PORT=tcp://ADDRESS:PORT` for a service named loaf, as links of Docker do: not for us."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        value = super().resolve_envvar_value(ctx)
        return None if value is not None and _ADDRESS_OF_A_SERVICE.match(value) else value


def _value(
    names: str, type: Any, help: str, default: Any = None, *, cls: _OptionClass = click.Option, **more: Any
) -> click.Option:
    return cls(names.split(), type=type, default=default, show_default=default is not None, help=help, **more)


def _give_worker_its_port(context: click.Context, _param: click.Parameter, value: bool) -> bool:
    if value:
        context.default_map = {"port": WORKER_PORT, **(context.default_map or {})}
    return value


SERVING = (
    _switch("--server", "Only serve the model; without this flag, a terminal is chatted in too."),
    _switch("--nobrowser", "Do not open the page in a browser."),
    _value("--host", CommaList(), "Addresses to listen on, comma-separated; a path (a/b, b.sock) is a unix socket.",
           "127.0.0.1"),
    _value("--socket-mode", FileMode(), "Who may use unix sockets, as chmod writes it: 660 lets the group.", "600"),
    _value("--port", Whole(0, 65535), "Port; 0 takes a free one.", 8080, cls=_Port),
    _value("--api-prefix", PathPrefix(), "Path below which everything is served, as in /llm, for proxies."),
    _value("-a --alias", CommaList(), "Names under which clients find the model, comma-separated."),
    _value("--tags", CommaList(), "Words that clients are told about the model, comma-separated."),
    _value("-to --timeout", Whole(1, 86_400),
           "Seconds that a client may stall, sending a request or reading an answer.", 60),
    _value("--drain-seconds", Whole(0, 86_400), "Seconds that running requests have when the server is told to stop.",
           3),
    _switch("--ui/--no-ui --webui/--no-webui", "Serve the page at /, or only the API.", default=True),
    _switch("--slots/--no-slots", "Tell at /slots what the slots do.", default=True),
    _switch("--metrics/--no-metrics", "Tell at /metrics what Prometheus reads.", default=True),
    _switch("--props/--no-props", "Let clients change what /props tells.", default=False),
    _switch("--media-urls", "Fetch pictures and sounds that requests name by public https:// addresses."),
    _value("--media-path", click.Path(file_okay=False, path_type=Path),
           "Folder below which requests may name pictures and sounds, as in file:///FOLDER/a.png."),
    _value("--slot-save-path", click.Path(file_okay=False, path_type=Path),
           "Folder where the states of slots may be saved, and restored from."),
    _value("--sleep-idle-seconds", Whole(-1, 31_536_000),
           "Seconds without a request after which the model is unloaded, until the next one; -1: never.", -1),
    _value("--models-max", Whole(0, 1024),
           "Of several models, how many are loaded at once, those that were asked last; 0: all.", 0),
    _switch("--sandbox/--no-sandbox", "Give up what a server does not need: files of others, starting programs, "
            "connecting. Without either flag: as far as that can be had.", default=None),
)  # fmt: skip

ACCESS = (
    _value("--api-key", CommaList(), "Ask clients for this key; repeatable, or comma-separated.", multiple=True,
           envvar=["LOAF_API_KEY", "LLAMA_API_KEY"]),
    _value("--api-key-file", _FILE, "The same, from a file with a key a line."),
    _value("--cors-origins", Origins(),
           "Origins whose web pages may use the model, comma-separated; localhost: this machine's; stars as in "
           "http://*.example.org or app://*; '*' alone: any page that you visit."),
    _value("--ssl-cert-file", _FILE, "Serve HTTPS with this certificate, or chain of them (PEM)."),
    _value("--ssl-key-file", _FILE, "The private key of the certificate (PEM)."),
)  # fmt: skip

ANSWERS = (
    _switch("--chat", "Only chat in the terminal, and serve nothing unless --server is given too."),
    _value("-p --prompt", str, "Answer once, to standard output, and exit. What is piped in belongs to the prompt."),
    _value("-f --file", click.Path(path_type=Path, allow_dash=True),
           "The same, with the prompt from a file, or '-' for standard input."),
    _value("--image", _FILE, "Show this picture with the prompt, to a model that sees; repeatable.", multiple=True),
    _value("--audio", _FILE, "Play this sound with the prompt, to a model that hears; repeatable.", multiple=True),
    _switch("--raw", "Take the prompt as bare text, without the chat template."),
    _value("--system -sys --system-prompt", str, "System prompt of chats that bring none."),
    _value("-n --n-predict --predict", Whole(-1),
           "Tokens to generate at most; -1: until the model ends or the context is full.", -1),
    _value("--chat-template", str,
           "Use this Jinja template, or the one that llama.cpp has by this name, instead of the model's own."),
    _value("--chat-template-file", _FILE, "The same, from a file."),
    _value("--chat-template-kwargs", str, "Values for the template, as a JSON object.", metavar="JSON"),
    _value("-rea --reasoning", click.Choice(["on", "off", "auto"]),
           "Let the model think before it answers; auto: as its template has it.", "auto"),
    _value("--reasoning-budget", Whole(-1), "Tokens that it may think for; 0 is --reasoning off, -1: any number.", -1),
    _value("--reasoning-budget-message", str, "What ends its thoughts then, before the mark of their end.",
           metavar="TEXT"),
    _value("--reasoning-effort", str, "How hard the model should think, as its template knows it: low, medium, high.",
           metavar="LEVEL"),
    _value("--reasoning-format", click.Choice(["auto", "deepseek", "deepseek-legacy", "none"]),
           "Give thoughts apart from the answer (reasoning_content), or with none: inside it.", "auto"),
)  # fmt: skip

BATCH = (
    _value("--batch", click.Path(path_type=Path, allow_dash=True),
           "Answer all requests of this file, in OpenAI's batch format, and exit; '-': standard input."),
    _value("-o --output", _FILE, "Where their results go. What is there already is not asked again."),
    _value("--batch-servers", ServerAddresses(),
           "Have these servers answer them, comma-separated, rather than the model in this file: http://10.0.0.2:8080."),
)  # fmt: skip

SAMPLING = (
    _value("--temp --temperature", _NUMBER, "Temperature; 0 is greedy.", 0.8),
    _value("-s --seed", _COUNT, "Seed; -1: random.", -1),
    _value("--top-k", _COUNT, "Only the k most probable tokens; 0: all.", 40),
    _value("--top-p", _NUMBER, "Only the most probable tokens that make up p; 1: all.", 0.95),
    _value("--min-p", _NUMBER, "Only tokens with p times the best one's probability; 0: all.", 0.05),
    _value("--top-n-sigma --top-nsigma", _NUMBER, "Only logits within n standard deviations; -1: all.", -1.0),
    _value("--typical --typical-p", _NUMBER, "Only tokens that are typical for the text; 1: all.", 1.0),
    _value("--xtc-probability", _NUMBER, "Chance of leaving out the top choices; 0: never.", 0.0),
    _value("--xtc-threshold", _NUMBER, "Probability from which a token is a top choice.", 0.1),
    _value("--repeat-last-n", _WINDOW, "Tokens that penalties look back; 0: none, -1: the context.", 64),
    _value("--repeat-penalty", FiniteNumber(above=0), "Divides logits of tokens that came before; 1: not.", 1.0),
    _value("--presence-penalty", _NUMBER, "Taken off the logits of tokens that came before.", 0.0),
    _value("--frequency-penalty", _NUMBER, "The same, for each time that they came.", 0.0),
    _value("--dry-multiplier", _NUMBER, "Strength of the penalty on repeated sequences (DRY); 0: off.", 0.0),
    _value("--dry-base", _NUMBER, "How it grows with the sequence.", 1.75),
    _value("--dry-allowed-length", _COUNT, "Tokens that may be repeated without it.", 2),
    _value("--dry-penalty-last-n", _WINDOW, "Tokens that it looks back; 0: none, -1: the context.", 64),
    _value("--dry-sequence-breaker", str, "Text over which no repetition goes; repeatable, 'none' for no text.",
           multiple=True),
    _value("--dynatemp-range", _NUMBER, "The temperature varies by so much, with the entropy.", 0.0),
    _value("--dynatemp-exp", _NUMBER, "How the entropy counts for it.", 1.0),
    _value("--mirostat", Whole(0, 2), "Mirostat 1 or 2 instead of top-k, top-p and typical; 0: off.", 0),
    _value("--mirostat-ent", _NUMBER, "Surprise that Mirostat aims at (tau).", 5.0),
    _value("--mirostat-lr", _NUMBER, "How fast it learns (eta).", 0.1),
    _value("--adaptive-target", _NUMBER, "Probability that adaptive-p aims at; -1: off.", -1.0),
    _value("--adaptive-decay", _NUMBER, "How long adaptive-p remembers.", 0.9),
    _value("--samplers", str, "Their order, with ';' between: top_k;top_p;temperature.", metavar="NAMES"),
    _switch("--ignore-eos", "Go on where the model would end."),
    _value("-l --logit-bias", str, "Added to a token's logit: 15043+1, 15043-1; repeatable.", multiple=True,
           metavar="TOKEN±BIAS"),
    _value("--grammar", str, "Answers keep to this grammar (GBNF), or that of a file.", metavar="GBNF|FILE"),
    _value("--grammar-file", _FILE, "The same, from a file."),
    _value("-j --json-schema", str, "Answers are JSON that fits this schema, or that of a file.", metavar="JSON|FILE"),
    _value("-jf --json-schema-file", _FILE, "The same, from a file."),
)  # fmt: skip

MODEL = (
    _value("-m --model", _FILE,
           "Load this GGUF instead of the one inside; or of several inside, by its name, the one that is meant."),
    _value("-hf -hfr --hf-repo", HubName(), "The same from Hugging Face's hub, fetched into the cache folder first."),
    _value("-mu --model-url", str, "The same from an address, which begins with https://.", metavar="URL"),
    _value("-c --ctx-size", Whole(0),
           "Context in tokens, shared by all requests; 0: the model's own, as far as memory allows.", 0),
    _value("-np --parallel", Whole(0, 256), "Requests at once; 0: up to 16, as the context allows.", 0),
    _value("-t --threads", Whole(-1, 1024), "Threads; 0 or -1: as many as this process may use.", 0),
    _value("--numa", click.Choice(["distribute", "isolate", "numactl"]),
           "With several NUMA nodes: spread threads over all, keep them on one, or as numactl says."),
    _value("-b --batch-size", Whole(1), "Tokens of all requests that are computed in one step.", 2048),
    _value("-ub --ubatch-size", Whole(1),
           "Tokens that are computed at once; more memory when larger.", 512),
    _value("-fa --flash-attn", click.Choice(["on", "off", "auto"]), "Flash attention; auto: where the device has it.",
           "auto", is_flag=False, flag_value="on"),
    _value("-ctk --cache-type-k", _CACHE_TYPE, "How K is kept.", "f16"),
    _value("-ctv --cache-type-v", _CACHE_TYPE, "How V is kept.", "f16"),
    _switch("--no-mmap", "Read the weights into memory instead of mapping the file."),
    _switch("--mlock", "Keep the weights in memory, never in swap."),
    _switch("--no-repack",
            "Use all weights as they lie in the file; otherwise some are laid out anew, for faster prompts."),
    _switch("--context-shift/--no-context-shift", "Forget the oldest tokens when the context is full, and go on."),
    _value("-cram --cache-ram", Whole(-1),
           "MiB for prompts that nobody uses just now, beside the context, and as many for checkpoints; 0: none, -1: "
           "without a limit.", 256),
    _value("--cache-disk", FolderAndSize(),
           "Folder for prompts that memory has no room for, or none asleep, and how much of it: /var/cache/model=10G."),
    _value("-ctxcp --ctx-checkpoints --swa-checkpoints", Whole(0, 4096),
           "States kept along each conversation, to go back to, where the model's memory cannot be cut; 0: none.", 32),
    _value("-cms --checkpoint-min-step", Whole(0),
           "Tokens between them in a long prompt, besides those before the last turn and at the end.", 8192),
    _switch("--kv-offload/--no-kv-offload -kvo/-nkvo",
            "Keep what a layer has of the text beside it, on a GPU; or in memory.", default=True),
    _switch("--swa-full", "Let layers with a sliding window keep the whole context, too."),
    _switch("--lookup", "Guess what repeats the prompt, for speed; the text stays the same."),
    _value("--draft -md --model-draft --spec-draft-model", _FILE,
           "The same by this smaller model (GGUF) of the same vocabulary, instead of the one inside."),
    _value("--draft-max --draft-n --spec-draft-n-max", Whole(0, 64), "Tokens to guess at once, at most; 0: none.", 16),
    _value("--draft-min --draft-n-min --spec-draft-n-min", Whole(0, 64),
           "Guesses of a draft model that are too few to be tried.", 0),
    _value("--draft-p-min --spec-draft-p-min", FiniteNumber(),
           "How probable it must find a token to guess it.", 0.0),
    _value("--lora", _FILE, "Apply this LoRA adapter (GGUF); repeatable.", multiple=True),
    _value("--lora-scaled", str, "The same, as strongly as SCALE says.", multiple=True, metavar="FILE:SCALE"),
    _value("--control-vector", _FILE, "Add this control vector (GGUF) to what goes from layer to layer; repeatable.",
           multiple=True),
    _value("--control-vector-scaled", str, "The same, as strongly as SCALE says.", multiple=True, metavar="FILE:SCALE"),
    _value("--control-vector-layer-range", Whole(1, 65535), "Only behind these layers, the first and the last.",
           nargs=2, metavar="FIRST LAST"),
    _value("--override-kv", Metadata(), "Take the model to say this of itself, whatever its GGUF says; repeatable.",
           multiple=True),
    _value("--rope-scaling", click.Choice(["none", "linear", "yarn"]),
           "How positions beyond the training are told; otherwise as the model says."),
    _value("--rope-scale", FiniteNumber(above=0),
           "How many times as long a context that makes: 1 / --rope-freq-scale."),
    _value("--rope-freq-base", FiniteNumber(0), "RoPE's base frequency; otherwise the model's."),
    _value("--rope-freq-scale", FiniteNumber(above=0), "By what RoPE's frequencies are multiplied."),
    _value("--yarn-orig-ctx", Whole(0), "YaRN: tokens of context that the model was trained with."),
    _value("--yarn-ext-factor", _NUMBER, "YaRN: how much is extrapolated; 0: nothing."),
    _value("--yarn-attn-factor", _NUMBER, "YaRN: by what attention is multiplied, where nothing is extrapolated."),
    _value("--yarn-beta-fast", _NUMBER, "YaRN: rotations from which a dimension is left as it is."),
    _value("--yarn-beta-slow", _NUMBER, "YaRN: rotations up to which it is interpolated."),
    _value("-mm --mmproj", _FILE, "See or hear with this projector (GGUF), which belongs to the model."),
    _switch("--no-mmproj", "Leave the projector inside alone: pictures and sounds are refused."),
    _value("--image-min-tokens", Whole(1, 65_536),
           "Tokens that a picture takes at least, where its family can be told; otherwise as the projector has it."),
    _value("--image-max-tokens", Whole(1, 65_536), "The same, at most: fewer are quicker, and see less."),
    _value("--pooling", click.Choice(["none", "mean", "cls", "last", "rank"]),
           "How the vectors of a text's tokens become one; otherwise the model's own way, or mean."),
    _switch("--reranking --rerank", "The same as --pooling rank."),
)  # fmt: skip

GPUS = (
    _value("--gpu", GpuName(), "What computes: auto, cuda, rocm, vulkan, metal, or disable for the processor alone.",
           "auto"),
    _value("-dev --device", CommaList(), "Compute on these devices of --list-devices, comma-separated, or on none."),
    _value("-ngl --gpu-layers --n-gpu-layers", LayerCount(), "Layers on GPUs: a number, all, or auto: as many as fit.",
           "auto"),
    _value("-sm --split-mode", SplitModeName(), "How several GPUs share the model: none: not at all, layer: by layers.",
           "layer"),
    _value("-mg --main-gpu", Whole(0, 63), "Which of them, from 0 on, with --split-mode none.", 0),
    _value("-ts --tensor-split", Shares(), "How much of the model each gets, as in 3,1; otherwise by what is free."),
    _switch("-cmoe --cpu-moe", "Leave the experts of a mixture on the processor."),
    _value("-ncmoe --n-cpu-moe", _LAYERS, "The same for its first N layers; otherwise of as many as do not fit."),
    _value("-ot --override-tensor", TensorBuffers(),
           "Put tensors whose names match elsewhere than their layer, comma-separated: '\\.ffn_.*=CPU'; repeatable.",
           multiple=True),
    _value("-fitt --fit-target", Mebibytes(),
           "MiB of each device that auto leaves free, or comma-separated for one by one; otherwise 256."),
)  # fmt: skip

MACHINES = (
    _switch("--worker", f"Compute for another machine, which has the model; --port is {WORKER_PORT} then.",
            is_eager=True, callback=_give_worker_its_port),
    _switch("--worker-insecure", "Let the worker listen beyond 127.0.0.1: nobody is asked for a password."),
    _value("--rpc", WorkerAddresses(), "Workers that compute for this machine, as HOST:PORT, comma-separated."),
)  # fmt: skip

LOGS = (
    _switch("-v --verbose --log-verbose", "Write a log to standard error: each request, and what llama.cpp says. "
            "OpenAI's answers tell more, as `__verbose`."),
    _value("--log-file", click.Path(path_type=Path, dir_okay=False), "Write the log to the end of this file."),
    _value("--log-format", click.Choice(["text", "json"]), "How its lines look.", "text"),
)  # fmt: skip

THIS_FILE = (
    _switch("--info", "Say what is in this file, and exit.", allow_from_autoenv=False),
    _switch("--list-devices", "Say which GPUs this file can use here, and exit.", allow_from_autoenv=False),
    _switch("--explain", "Say what would be done here, and why, and exit.", allow_from_autoenv=False),
    _switch("--uninstall", "Take away what this file has unpacked for you, say what, and exit.",
            allow_from_autoenv=False),
)  # fmt: skip
"""Instead of what a launch does; `flags.py` has three more of these."""

GROUPS: tuple[tuple[str, tuple[click.Option, ...]], ...] = (
    ("Serving", SERVING),
    ("Who may call", ACCESS),
    ("Answers", ANSWERS),
    ("Many requests", BATCH),
    ("Sampling, where a request does not say", SAMPLING),
    ("Model and memory", MODEL),
    ("GPUs", GPUS),
    ("Several machines", MACHINES),
    ("The log", LOGS),
)
