"""Writes a trained eye as the projector's GGUF: matrices F16, the rest F32.

Metadata is what libmtmd reads of a LLaVA projector (tools/mtmd/clip.cpp, PROJECTOR_TYPE_MLP). The file holds nothing
of the machine or the moment: the same weights give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from scripts.demo_model.export import About
from scripts.vision_model import seeing
from scripts.vision_model.vit import Eye


def write(path: Path, eye: Eye, about: About) -> None:
    """The whole file, header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "clip")
    _describe(writer, eye, about)
    for name, parameter in eye.named_parameters():
        values = parameter.detach().float().numpy()
        plain = values.ndim == 1 or "position" in name
        writer.add_tensor(name, values if plain else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, eye: Eye, about: About) -> None:
    shape = eye.shape
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name(f"{about.name} projector")
    writer.add_author("loaf")
    writer.add_description(about.description)
    writer.add_license("mit")
    writer.add_size_label(f"{sum(parameter.numel() for parameter in eye.parameters()) / 1e6:.1f}M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_projection_dim(shape.out)
    writer.add_vision_image_size(shape.image)
    writer.add_vision_patch_size(shape.patch)
    writer.add_vision_embedding_length(shape.width)
    writer.add_vision_feed_forward_length(shape.hidden)
    writer.add_vision_block_count(shape.layers)
    writer.add_vision_head_count(shape.heads)
    writer.add_vision_attention_layernorm_eps(shape.epsilon)
    writer.add_vision_image_mean([seeing.MEAN] * 3)
    writer.add_vision_image_std([seeing.STD] * 3)
    writer.add_vision_use_gelu(True)
    # Without this LLaVA takes the last layer but one, and the last would be carried for nothing.
    writer.add_array("clip.vision.feature_layer", [shape.layers])
