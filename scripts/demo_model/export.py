"""Writes a trained model and its tokenizer as one GGUF file: matrices Q8_0, norms F32.

The file holds nothing of the machine or the moment: the same weights give the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import gguf
from tokenizers import Tokenizer

from scripts.demo_model.model import Llama
from scripts.demo_model.tokenizer import CONTROL, END, END_OF_TEXT, MARKUP, PRE


@dataclass(frozen=True)
class About:
    """What the file says of itself to people."""

    name: str
    description: str


def write(path: Path, model: Llama, tokenizer: Tokenizer, template: str, about: About) -> None:
    """The whole file, header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer, model, about)
    _vocabulary(writer, tokenizer, template)
    for name, parameter in model.named_parameters():
        values = parameter.detach().float().numpy()
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, model: Llama, about: About) -> None:
    shape = model.shape
    count = sum(parameter.numel() for parameter in model.parameters())
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(about.name)
    writer.add_author("loaf")
    writer.add_description(about.description)
    writer.add_license("mit")
    writer.add_languages(["en"])
    writer.add_size_label(f"{count / 1e6:.1f}M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.theta)
    writer.add_layer_norm_rms_eps(shape.epsilon)


def _vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer, template: str) -> None:
    tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    kinds = dict.fromkeys(CONTROL, gguf.TokenType.CONTROL) | dict.fromkeys(MARKUP, gguf.TokenType.USER_DEFINED)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE)
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(text, gguf.TokenType.NORMAL) for text in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.token_to_id(END_OF_TEXT))
    writer.add_eos_token_id(tokenizer.token_to_id(END))
    writer.add_eot_token_id(tokenizer.token_to_id(END))
    writer.add_pad_token_id(tokenizer.token_to_id(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)
