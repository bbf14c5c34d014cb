"""What the benchmarks rely on: how a stream is read, how a step is taken apart, what a model of noise will say."""

from __future__ import annotations

import itertools
import json
import socket
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.backend import BatchItem
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.projector import Projector
from runtime.engine.pieces import Piece
from runtime.engine.settings import ContextSettings, LoadSettings, ProjectorSettings
from runtime.engine.types import Sampling
from runtime.engine.weights import Weights
from runtime.media.decoding import decode
from support.bundles import DEMO_GGUF
from support.pictures import png
from support.places import BENCHMARKS

sys.path.append(str(BENCHMARKS))

from delaying import delayed
from memories import Hybrid, Recurrent, Windows
from projectors import Llava
from report import Samples, show
from shapes import Bert, Llama, Shape
from stepping import Call, Step, steps_of
from streams import body_of, events_of
from vocabularies import Vocabulary, sentence_pieces, word_pieces
from weights import F16, F32, Q4_0, Q8_0, Quantization, write_noise

EVENTS = [{"content": "a\n", "tokens": [1]}, {"content": "é", "tokens": [2, 3]}, {"content": "", "stop": True}]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def cut(data: bytes, places: list[int]) -> list[tuple[float, bytes]]:
    """`data` in pieces that arrive at times 1, 2, 3 …"""
    edges = sorted({0, len(data), *(place % len(data) for place in places)})
    pieces = [data[begin:end] for begin, end in itertools.pairwise(edges)]
    return [(float(number), piece) for number, piece in enumerate(pieces, 1)]


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@given(places=st.lists(st.integers(0, 1000), max_size=40), edges=st.lists(st.integers(0, 1000), max_size=6))
def test_a_stream_says_the_same_however_it_is_cut(places: list[int], edges: list[int]) -> None:
    text = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS)
    arrived = list(events_of(cut(HEAD + chunked(*(piece for _, piece in cut(text, edges))), places)))
    assert [event for _, event in arrived] == EVENTS
    assert sorted(time for time, _ in arrived) == [time for time, _ in arrived]


def test_an_event_arrives_with_its_last_byte() -> None:
    pieces = [(1.0, HEAD + b'f\r\ndata: {"a": 1}\n'), (2.0, b"\r\n1\r\n\n\r\n")]
    assert list(events_of(pieces)) == [(2.0, {"a": 1})]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}', b"{}"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}", b""),
        (b"HTTP/1.1 200 OK\r\nContent-", b""),
        (b"", b""),
    ],
)  # fmt: skip
def test_other_answers(answer: bytes, body: bytes) -> None:
    assert b"".join(data for _, data in body_of([(1.0, answer)])) == body


def test_a_step_reaches_from_one_batch_to_the_next() -> None:
    prompt, first, second, last = Call(0, 1, 30), Call(2, 5, 2), Call(9, 12, 2), Call(20, 21, 1)
    samplings = [Call(1, 1.5, 0), Call(6, 6.5, 0), Call(7, 8, 0), Call(13, 14, 0)]
    calls = sorted([prompt, first, second, last, *samplings], key=lambda call: call.began)
    assert steps_of(calls, 2) == [Step(whole=7, decode=3, sample=1.5)]
    assert steps_of(calls, 1) == []


@pytest.mark.parametrize("quantization", [Q8_0, Q4_0], ids=["Q8_0", "Q4_0"])
def test_a_model_that_counts(quantization: Quantization, tmp_path: Path) -> None:
    path = tmp_path / "noise.gguf"
    shape = Llama(layers=2, width=256, hidden=512, heads=4, kv_heads=2, counts=True)
    size = write_noise(path, shape, sentence_pieces(2000), quantization)
    assert size == path.stat().st_size
    backend = LlamaBackend(load(path), ContextSettings(n_ctx=256, n_slots=1, n_batch=64, n_ubatch=64, n_threads=1))
    context = backend.generator
    assert context is not None
    tokens = [1700, 400, 900]
    sampler = context.new_sampler(Sampling(temperature=0), tokens)
    for _ in range(40):
        position = 0 if len(tokens) == 3 else len(tokens) - 1
        context.decode([BatchItem(0, position, tuple(tokens[position:]), 1)], ())
        tokens.append(sampler.sample(len(tokens) - 1 - position).token)
    sampler.close()
    backend.close()
    assert tokens[3:] == list(range(901, 941))


def test_one_that_errs_says_something_else_so_often(tmp_path: Path) -> None:
    path = tmp_path / "noise.gguf"
    shape = Llama(layers=1, width=128, hidden=256, heads=4, kv_heads=4, counts=True, errs=0.2)
    write_noise(path, shape, sentence_pieces(2000), Q8_0)
    settings = ContextSettings(n_ctx=512, n_slots=1, n_batch=512, n_ubatch=512, n_threads=1, max_draft=400)
    backend = LlamaBackend(load(path), settings)
    context = backend.generator
    assert context is not None
    context.decode([BatchItem(0, 0, tuple(range(1000, 1400)), 400)], ())
    sampler = context.new_sampler(Sampling(temperature=0), ())
    right = sum(sampler.sample(i).token == 1001 + i for i in range(400))
    sampler.close()
    backend.close()
    assert 280 <= right <= 360


@pytest.mark.parametrize("shape", [Hybrid(), Recurrent(), Windows()], ids=lambda shape: shape.architecture)
def test_models_whose_memory_cannot_be_cut(shape: Shape, tmp_path: Path) -> None:
    path = tmp_path / "noise.gguf"
    write_noise(path, shape, sentence_pieces(500), F32)
    model = load(path)
    assert model.facts.keeps_state or model.facts.window
    backend = LlamaBackend(model, ContextSettings(n_ctx=256, n_slots=1, n_batch=64, n_ubatch=64, n_threads=1))
    assert backend.generator is not None
    outputs = backend.generator.decode([BatchItem(0, 0, tuple(range(300, 340)), 1)], ())
    sampler = backend.generator.new_sampler(Sampling(temperature=1.0, n_probs=1), ())
    assert sampler.sample(outputs[0]).probabilities.top[0].probability > 0, "there are numbers in it"
    sampler.close()
    backend.close()


def test_an_encoder_of_noise(tmp_path: Path) -> None:
    path = tmp_path / "noise.gguf"
    write_noise(path, Bert(layers=1, width=64, hidden=128, heads=2), word_pieces(100), Q8_0)
    backend = LlamaBackend(load(path), ContextSettings(n_ctx=64, n_slots=1, n_batch=64, n_ubatch=64, n_threads=1))
    (vectors,) = backend.embedder().embed(
        [backend.model.tokenize("baaa caaa", add_special=True, parse_special=False)], ()
    )
    backend.close()
    assert backend.generator is None
    assert [len(vector) for vector in vectors] == [64]


def load(path: Path):
    return load_model(Weights(path), LoadSettings(), threading.Event())


def test_contestants_are_held_against_each_other_within_a_round() -> None:
    samples = Samples({"tokens": "/s"}, ("ours", "theirs"))
    for ours, theirs in ((100, 50), (10, 10), (30, 20)):
        samples.add("tokens", "ours", ours)
        samples.add("tokens", "theirs", theirs)
    assert samples.ratio(("tokens", "ours"), ("tokens", "theirs")) == 1.5
    assert show("", samples, []).split()[-4:] == ["20.0", "/s", "(0.67", "x)"]


def test_a_slow_wire_loses_nothing_and_passes_on_that_somebody_left() -> None:
    sent = [bytes([number]) * 100_000 for number in range(20)]
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        delayed(*server.getsockname(), 0.001) as port,
        socket.create_connection(("127.0.0.1", port)) as near,
    ):
        far, _ = server.accept()
        for piece in sent:
            near.sendall(piece)
        near.shutdown(socket.SHUT_WR)
        with far:
            assert far.makefile("rb").read() == b"".join(sent)
            far.sendall(b"that was all")
        assert near.makefile("rb").read() == b"that was all"


def test_a_projector_of_noise_makes_a_cell_of_each_patch(tmp_path: Path) -> None:
    path = tmp_path / "mmproj.gguf"
    write_noise(path, Llava(out=192, side=112, layers=2, width=32, hidden=64, heads=1), Vocabulary((), 0), F16)
    model = load_model(Weights(DEMO_GGUF), LoadSettings(), threading.Event())
    projector = Projector(model, Weights(path), ProjectorSettings(), 1, None)
    (piece,) = projector.see(decode("f", png()))
    assert isinstance(piece, Piece)
    assert len(piece.tokens) == 64
    assert projector.encode(piece, lambda: True)
    projector.close()
    model.close()
