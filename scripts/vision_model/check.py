"""Asks the vision demo about pictures that were never trained, through libmtmd, greedily; prints how many are right.

    python -m scripts.vision_model.check bundler/demo/vision/vision.gguf bundler/demo/vision/mmproj-vision.gguf

Needs llama-cpp-python and Pillow, no PyTorch.
"""

from __future__ import annotations

import argparse
import ctypes
from pathlib import Path

import llama_cpp
from llama_cpp import mtmd_cpp as mtmd
from PIL import Image

from scripts.vision_model.examining import COUNT, Tally, cases


class Asker:
    """llama.cpp with the model and its projector, always taking the likeliest token."""

    def __init__(self, model: Path, projector: Path, threads: int = 1) -> None:
        _load_backends()
        self._llama = llama_cpp.Llama(str(model), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
        parameters = mtmd.mtmd_context_params_default()
        parameters.use_gpu, parameters.print_timings, parameters.n_threads = False, False, threads
        self._eye = mtmd.mtmd_init_from_file(str(projector).encode(), self._llama.model, parameters)
        if not self._eye:
            raise SystemExit(f"{projector}: libmtmd does not load it")

    def ask(self, prompt: str, *images: Image.Image, limit: int = 32) -> str:
        """The answer; the prompt has libmtmd's marker where each picture goes."""
        place = self._read(prompt, images)
        said: list[int] = []
        vocabulary = llama_cpp.llama_model_get_vocab(self._llama.model)
        while len(said) < limit:
            token = self._likeliest()
            if llama_cpp.llama_vocab_is_eog(vocabulary, token):
                break
            said.append(token)
            batch = llama_cpp.llama_batch_get_one((llama_cpp.llama_token * 1)(token), 1)
            if llama_cpp.llama_decode(self._llama.ctx, batch) != 0:
                raise RuntimeError(f"position {place + len(said)} could not be decoded")
        return self._llama.detokenize(said).decode("utf-8", "replace")

    def _read(self, prompt: str, images: tuple[Image.Image, ...]) -> int:
        """Takes in the prompt from an empty memory; the number of positions it takes."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._llama.ctx), True)
        text = prompt.encode()
        asked = mtmd.mtmd_input_text(text=text, text_len=len(text), add_special=False, parse_special=True)
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * max(1, len(images)))(*[_bitmap(image) for image in images])
        chunks = mtmd.mtmd_input_chunks_init()
        past = llama_cpp.llama_pos(0)
        try:
            if mtmd.mtmd_tokenize(self._eye, chunks, ctypes.byref(asked), bitmaps, len(images)) != 0:
                raise RuntimeError("the prompt could not be tokenized")
            read = mtmd.mtmd_helper_eval_chunks(self._eye, self._llama.ctx, chunks, 0, 0, 512, True, ctypes.byref(past))
            if read != 0:
                raise RuntimeError("the prompt could not be decoded")
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            for bitmap in bitmaps[: len(images)]:
                mtmd.mtmd_bitmap_free(bitmap)
        return past.value

    def _likeliest(self) -> int:
        scores = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
        return max(range(self._llama.n_vocab()), key=scores.__getitem__)


def main() -> None:
    parser = argparse.ArgumentParser(description="Asks the vision demo about pictures that it never saw.")
    parser.add_argument("model", type=Path)
    parser.add_argument("projector", type=Path)
    parser.add_argument("--count", type=int, default=COUNT, help="questions (default: %(default)s)")
    parser.add_argument("--wrong", action="store_true", help="print every wrong answer")
    arguments = parser.parse_args()
    asker, tally = Asker(arguments.model, arguments.projector), Tally()
    for case in cases(arguments.count):
        answer = asker.ask(case.prompt, case.picture.image)
        if not tally.add(case, answer) and arguments.wrong:
            size = "x".join(map(str, case.picture.image.size))
            print(f"{size}: {case.asked.question!r} wanted {case.asked.answer!r}, got {answer!r}", flush=True)
    tally.print()


def _bitmap(image: Image.Image) -> int:
    pixels = image.convert("RGB").tobytes()
    data = (ctypes.c_uint8 * len(pixels)).from_buffer_copy(pixels)
    bitmap = mtmd.mtmd_bitmap_init(image.width, image.height, data)
    assert bitmap is not None
    return bitmap


def _load_backends() -> None:
    """A wheel built with separate backends (as loaf's is) keeps them in site-packages/bin; another has none."""
    folder = Path(llama_cpp.__file__).parents[1] / "bin"
    if any(folder.glob("libggml-cpu*")):
        llama_cpp.llama_cpp._lib.ggml_backend_load_all_from_path(str(folder).encode())


if __name__ == "__main__":
    main()
