"""What a header is summed up to, and the memory that follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.errors import MalformedGGUF
from bundler.gguf import (
    FileKind,
    LayerCache,
    ModelInfo,
    contexts_of_interest,
    estimate_memory,
    read_gguf,
    summarize,
)
from support.ggufs import (
    BOOL,
    INT32,
    LLAMA,
    STRING,
    TENSORS,
    UINT32,
    UINT64,
    Array,
    Meta,
    TensorSpec,
    Typed,
    write_gguf,
)


def info_of(tmp_path: Path, changes: dict[str, Meta | None], tensors: tuple[TensorSpec, ...] = TENSORS) -> ModelInfo:
    """The summary of the small llama with some keys changed; None leaves one out."""
    metadata = {key: item for key, item in {**LLAMA, **changes}.items() if item is not None}
    return summarize(read_gguf(write_gguf(tmp_path / "some-model.gguf", metadata, tensors)))


def of_architecture(name: str, **keys: Meta) -> dict[str, Meta | None]:
    """A model of another architecture: 8 layers of 8 heads of 8, two of them for keys and values."""
    numbers: dict[str, Meta] = {
        "context_length": 65536,
        "embedding_length": 64,
        "block_count": 8,
        "attention.head_count": 8,
        "attention.head_count_kv": 2,
    }
    numbers.update({key.replace("__", "."): item for key, item in keys.items()})
    return {"general.architecture": name, **{f"{name}.{key}": item for key, item in numbers.items()}}


def test_a_small_llama(tmp_path: Path) -> None:
    info = info_of(tmp_path, {"general.license": "mit", "tokenizer.chat_template.tool_use": "{{ tools }}"})
    assert info.kind is FileKind.MODEL
    assert (info.architecture, info.name, info.quantization, info.license) == ("llama", "Tiny", "Q8_0", "mit")
    assert (info.parameter_count, info.weights_size) == (256 + 192 + 64 + 5, 1024 + 204 + 128 + 20)
    assert (info.context_length, info.embedding_length, info.block_count) == (4096, 64, 2)
    assert (info.head_count, info.head_count_kv) == ((8, 8), (4, 4))
    assert (info.key_length, info.value_length) == (8, 8)
    assert (info.vocabulary_size, info.tokenizer) == (4, "llama")
    assert (info.chat_template, info.named_template_count) == ("{{ messages }}", 1)
    assert not info.is_embedding_model
    assert info.layers == (LayerCache(32, 32, None, 0),) * 2


def test_what_is_left_out_is_none(tmp_path: Path) -> None:
    info = info_of(tmp_path, {key: None for key in LLAMA if key != "general.architecture"})
    assert info.name == "some-model"
    assert info.quantization == "F32"  # most bytes are of it
    assert (info.context_length, info.vocabulary_size, info.license, info.chat_template) == (None,) * 4
    assert info.layers == ()
    assert contexts_of_interest(info) == ()


@pytest.mark.parametrize(
    ("file_type", "name"),
    [(0, "F32"), (1, "F16"), (15, "Q4_K_M"), (1024 + 7, "Q8_0"), (38, "MXFP4"), (999, "F32")],
)
def test_quantization(tmp_path: Path, file_type: int, name: str) -> None:
    assert info_of(tmp_path, {"general.file_type": file_type}).quantization == name


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"general.type": "model"}, FileKind.MODEL),
        ({"general.type": "adapter"}, FileKind.ADAPTER),
        ({"general.type": "mmproj"}, FileKind.PROJECTOR),
        ({"general.architecture": "clip"}, FileKind.PROJECTOR),
    ],
)
def test_kinds_of_file(tmp_path: Path, changes: dict[str, Meta | None], kind: FileKind) -> None:
    assert info_of(tmp_path, changes).kind is kind


def test_a_vocabulary_has_no_tensors(tmp_path: Path) -> None:
    info = info_of(tmp_path, {"general.file_type": None}, ())
    assert (info.kind, info.quantization, info.layers) == (FileKind.VOCABULARY, "none", ())


@pytest.mark.parametrize(
    ("architecture", "pooling", "embeds"),
    [("llama", None, False), ("qwen3", 3, True), ("qwen3", 0, False), ("bert", None, True)],
)
def test_embedding_models(tmp_path: Path, architecture: str, pooling: int | None, embeds: bool) -> None:
    keys = {} if pooling is None else {"pooling_type": pooling}
    assert info_of(tmp_path, of_architecture(architecture, **keys)).is_embedding_model is embeds


@pytest.mark.parametrize(
    ("key", "item", "expected"),
    [
        ("llama.context_length", "4096", "a whole number from 1"),
        ("llama.context_length", Typed(INT32, -1), "a whole number from 1"),
        ("llama.context_length", Typed(UINT64, 2**63), "a whole number from 1"),
        ("llama.context_length", 0, "a whole number from 1"),
        ("llama.context_length", 1.5, "a whole number from 1"),
        ("llama.context_length", True, "a whole number from 1"),
        ("llama.context_length", Array(UINT32, [1]), "a whole number from 1"),
        (
            "llama.attention.head_count",
            Array(UINT32, [8, 8, 8]),
            "a whole number, or one for each of 2 layers",
        ),
        ("llama.attention.head_count", Array(STRING, ["8", "8"]), "a whole number"),
        (
            "llama.attention.sliding_window_pattern",
            Array(STRING, ["a", "b"]),
            "a whole number, or true or false",
        ),
        ("tokenizer.ggml.tokens", Array(UINT32, [1]), "an array of STRING"),
        ("tokenizer.chat_template", 5, "text"),
        ("general.name", Array(STRING, ["a"]), "text"),
        ("general.architecture", 1, "text"),
    ],
)
def test_values_of_the_wrong_type_are_named(tmp_path: Path, key: str, item: Meta, expected: str) -> None:
    with pytest.raises(MalformedGGUF) as caught:
        info_of(tmp_path, {key: item})
    assert repr(key) in caught.value.problem
    assert f"expected {expected}" in caught.value.problem


def test_without_an_architecture(tmp_path: Path) -> None:
    with pytest.raises(MalformedGGUF, match=r"general\.architecture"):
        info_of(tmp_path, {"general.architecture": None})


def test_absurd_layers(tmp_path: Path) -> None:
    with pytest.raises(MalformedGGUF, match="4,000,000,000 layers"):
        info_of(tmp_path, {"llama.block_count": 4_000_000_000})


FULL = LayerCache(16, 16, None, 0)


def windowed(window: int) -> LayerCache:
    return LayerCache(16, 16, window, 0)


def recurrent(state: int) -> LayerCache:
    return LayerCache(0, 0, None, state)


STATE = 3 * (32 + 2 * 2 * 4) + 4 * 32  # of a Mamba layer with the sizes below
SSM: dict[str, Meta] = {
    "ssm__conv_kernel": 4,
    "ssm__inner_size": 32,
    "ssm__state_size": 4,
    "ssm__group_count": 2,
}
NO_HEADS: dict[str, Meta] = {"attention__head_count": 0, "attention__head_count_kv": 0}
HEADS_EVERY_FOURTH: dict[str, Meta] = {"attention__head_count_kv": Array(UINT32, [0, 0, 0, 2] * 2)}


@pytest.mark.parametrize(
    ("architecture", "keys", "layers"),
    [
        ("llama", {}, [FULL] * 8),
        ("llama", {"attention__sliding_window": 512}, [FULL] * 8),
        ("gemma2", {"attention__sliding_window": 512}, [windowed(512), FULL] * 4),
        ("gemma2", {}, [windowed(4096), FULL] * 4),
        ("gemma3", {"attention__sliding_window": 512}, [*[windowed(512)] * 5, FULL, *[windowed(512)] * 2]),
        ("gemma3", {}, [FULL] * 8),
        (
            "gemma3",
            {"attention__sliding_window": 512, "attention__sliding_window_pattern": 2},
            [windowed(512), FULL] * 4,
        ),
        ("smallthinker", {"attention__sliding_window": 512}, [FULL, *[windowed(512)] * 3] * 2),
        (
            "new-architecture",
            {
                "attention__sliding_window": 512,
                "attention__sliding_window_pattern": Array(BOOL, [True] * 7 + [False]),
                "attention__key_length_swa": 4,
            },
            [*[LayerCache(8, 16, 512, 0)] * 7, FULL],
        ),
        (
            "llama",
            {"attention__key_length": 32, "attention__value_length": 4},
            [LayerCache(64, 8, None, 0)] * 8,
        ),
        (
            "llama",
            {"attention__head_count_kv": Array(UINT32, range(8))},
            [LayerCache(8 * n, 8 * n, None, 0) for n in range(8)],
        ),
        (
            "deepseek2",
            {
                "attention__head_count_kv": 1,
                "attention__key_length": 576,
                "attention__value_length": 512,
                "attention__key_length_mla": 192,
                "attention__value_length_mla": 128,
            },
            [LayerCache(576, 0, None, 0)] * 8,
        ),
        ("glm4moe", {"nextn_predict_layers": 1}, [FULL] * 7),
        ("gemma4", {"attention__shared_kv_layers": 3}, [*[FULL] * 5, *[recurrent(0)] * 3]),
        ("mamba", {**NO_HEADS, **SSM}, [recurrent(STATE)] * 8),
        ("falcon-h1", SSM, [LayerCache(16, 16, None, STATE)] * 8),
        ("jamba", {**SSM, **HEADS_EVERY_FOURTH}, [*[recurrent(STATE)] * 3, FULL] * 2),
        (
            "nemotron_h",
            {
                **SSM,
                **HEADS_EVERY_FOURTH,
                "feed_forward_length": Array(UINT32, [128, 0, 0, 0] * 2),
            },
            [recurrent(0), recurrent(STATE), recurrent(STATE), FULL] * 2,
        ),
        ("qwen3next", SSM, [*[recurrent(STATE)] * 3, FULL] * 2),
        ("qwen35", {**SSM, "full_attention_interval": 2}, [recurrent(STATE), FULL] * 4),
        (
            "qwen35",
            {**SSM, "attention__recurrent_layers": Array(BOOL, [True])},
            [recurrent(STATE), *[FULL] * 7],
        ),
        ("rwkv7", {**NO_HEADS, "wkv__head_size": 8}, [recurrent(64 * (2 + 8))] * 8),
        ("lfm2", {"shortconv__l_cache": 3, **HEADS_EVERY_FOURTH}, [*[recurrent(128)] * 3, FULL] * 2),
        ("bert", {}, []),
    ],
)
def test_what_each_layer_keeps(
    tmp_path: Path, architecture: str, keys: dict[str, Meta], layers: list[LayerCache]
) -> None:
    assert list(info_of(tmp_path, of_architecture(architecture, **keys)).layers) == layers


def test_memory_of_full_attention_grows_with_the_context(tmp_path: Path) -> None:
    info = info_of(tmp_path, of_architecture("llama"))
    short, long = estimate_memory(info, 2048), estimate_memory(info, 65536)
    assert short.kv_cache == 8 * 32 * 2048 * 2
    assert long.kv_cache == 8 * 32 * 65536 * 2
    assert estimate_memory(info, 2000).kv_cache == short.kv_cache  # rounded up to 256
    assert estimate_memory(info, 2048, kv_type_bytes=34 / 32).kv_cache == 8 * 32 * 2048 * 34 // 32
    assert short.weights == info.weights_size
    assert short.compute == 512 * (4 * (4 * 64 + 3 * 128) + 2048 * 2)
    assert short.total == short.weights + short.kv_cache + short.compute + short.vocabulary


def test_memory_of_windows_and_states_does_not(tmp_path: Path) -> None:
    gemma = info_of(tmp_path, of_architecture("gemma2", attention__sliding_window=1024))
    assert estimate_memory(gemma, 65536).kv_cache == 4 * 32 * 2 * (65536 + 16 * 1024 + 512), "16 requests at once"
    mamba = info_of(tmp_path, of_architecture("mamba", **NO_HEADS, **SSM))
    assert estimate_memory(mamba, 2048).kv_cache == estimate_memory(mamba, 65536).kv_cache == 8 * STATE * 4 * 4


@pytest.mark.parametrize(
    ("own", "contexts"),
    [
        (512, (512,)),
        (2048, (2048,)),
        (40960, (2048, 8192, 32768, 40960)),
        (131072, (2048, 8192, 32768, 131072)),
    ],
)
def test_contexts_of_interest(tmp_path: Path, own: int, contexts: tuple[int, ...]) -> None:
    assert contexts_of_interest(info_of(tmp_path, {"llama.context_length": own})) == contexts
