"""Writes a trained model and its tokenizer as one GGUF file: matrices F16, the rest F32.

Metadata is what llama.cpp's convert_hf_to_gguf.py makes of a BERT (conversion/bert.py). The file holds nothing of the
machine or the moment: the same weights give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

from scripts.embedding_model.bert import Bert, Reranker
from scripts.embedding_model.wordpiece import CONTINUED, MASK, PAD, SEPARATOR, SPECIAL, START, UNKNOWN

_ADDED = ("position_embd.weight", "token_types.weight")
"""What llama.cpp adds to the stream row by row; the converter keeps it in F32."""


def write(path: Path, model: Bert, tokenizer: Tokenizer) -> None:
    """The whole file, header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "bert")
    _describe(writer, model)
    _vocabulary(writer, tokenizer)
    for name, parameter in model.named_parameters():
        values = parameter.detach().float().numpy()
        writer.add_tensor(name, values if values.ndim == 1 or name in _ADDED else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, model: Bert) -> None:
    shape, ranks = model.shape, isinstance(model, Reranker)
    count = sum(parameter.numel() for parameter in model.parameters())
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name("loaf test reranker" if ranks else "loaf test embedder")
    writer.add_author("loaf")
    writer.add_description("A toy for loaf's tests, trained from scratch on the demo model's corpus.")
    writer.add_license("mit")
    writer.add_languages(["en"])
    writer.add_size_label(f"{count / 1e3:.0f}K")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_layer_norm_eps(shape.epsilon)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.RANK if ranks else gguf.PoolingType.MEAN)


def _vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    pieces = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_type_count(1)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([_marked(piece) for piece in pieces])
    writer.add_token_types([control if piece in SPECIAL else normal for piece in pieces])
    # A text is [CLS] text [SEP], a pair of them [CLS] one [SEP] other [SEP]; the converter calls the latter token EOS.
    writer.add_bos_token_id(tokenizer.token_to_id(START))
    writer.add_eos_token_id(tokenizer.token_to_id(SEPARATOR))
    writer.add_sep_token_id(tokenizer.token_to_id(SEPARATOR))
    writer.add_unk_token_id(tokenizer.token_to_id(UNKNOWN))
    writer.add_pad_token_id(tokenizer.token_to_id(PAD))
    writer.add_mask_token_id(tokenizer.token_to_id(MASK))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_sep_token(False)


def _marked(piece: str) -> str:
    """GGUF marks where a word begins, WordPiece where it goes on."""
    if piece in SPECIAL:
        return piece
    return piece.removeprefix(CONTINUED) if piece.startswith(CONTINUED) else "\u2581" + piece
