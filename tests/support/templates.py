"""Chat templates of real models: those in llama.cpp's sources, which the runtime is compiled from.

They are other people's, so they are no part of this repository. The archive is fetched once per machine and version,
with the project's own cache.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from functools import lru_cache
from pathlib import Path

from bundler.freeze.pins import LLAMA, llama_version
from bundler.store.cache import cached, key_of

_FOLDER = "/vendor/llama.cpp/models/templates/"
_ARCHIVE_BYTES = 100_000_000

FAMILY = {
    "ByteDance-Seed-OSS": "seed-oss",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "command-r7b",
    "GLM-4.6": "glm",
    "GLM-4.7-Flash": "glm",
    "Kimi-K2-Instruct": "kimi-k2",
    "Kimi-K2-Thinking": "kimi-k2",
    "MiniMax-M2": "minimax-m2",
    "Mistral-Small-3.2-24B-Instruct-2506": "mistral-v11",
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": "qwen3-coder",
    "NVIDIA-Nemotron-Nano-v2": "nemotron-nano-v2",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": "hermes",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "hermes",
    "Qwen-QwQ-32B": "hermes",
    "Qwen-Qwen2.5-7B-Instruct": "hermes",
    "Qwen-Qwen3-0.6B": "hermes",
    "Qwen3-Coder": "qwen3-coder",
    "Qwen3.5-4B": "qwen3-coder",
    "StepFun3.5-Flash": "qwen3-coder",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek-r1",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "deepseek-r1",
    "deepseek-ai-DeepSeek-V3.1": "deepseek-v3.1",
    "google-gemma-2-2b-it": "generic",
    "ibm-granite-granite-3.3-2B-Instruct": "granite",
    "ibm-granite-granite-4.0": "hermes",
    "llama-cpp-deepseek-r1": "deepseek-r1",
    "meetkai-functionary-medium-v3.1": "functionary-v3.1",
    "meetkai-functionary-medium-v3.2": "functionary-v3.2",
    "meta-llama-Llama-3.1-8B-Instruct": "llama-3",
    "meta-llama-Llama-3.2-3B-Instruct": "llama-3",
    "meta-llama-Llama-3.3-70B-Instruct": "llama-3",
    "microsoft-Phi-3.5-mini-instruct": "generic",
    "mistralai-Ministral-3-14B-Reasoning-2512": "mistral-v13",
    "mistralai-Mistral-Nemo-Instruct-2407": "mistral-v3",
    "moonshotai-Kimi-K2": "kimi-k2",
    "openai-gpt-oss-120b": "gpt-oss",
    "unsloth-Apriel-1.5": "apriel",
    "unsloth-mistral-Devstral-Small-2507": "mistral-v13",
}
"""Templates, and the families they have to be known as."""

OTHERS = (
    "Apertus-8B-Instruct",
    "Apriel-1.6-15b-Thinker-fixed",
    "Bielik-11B-v3.0-Instruct",
    "Cohere2MoE",
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "GigaChat3-10B-A1.8B",
    "GigaChat3.1-10B-A1.8B",
    "HuggingFaceTB-SmolLM3-3B",
    "Kimi-K3",
    "LFM2-8B-A1B",
    "LFM2.5-8B-A1B",
    "LFM2.5-Instruct",
    "MiMo-VL",
    "MiniMax-M1",
    "MiniMax-M3",
    "Reka-Edge",
    "Spark2.5",
    "deepseek-ai-DeepSeek-V3.2",
    "deepseek-ai-DeepSeek-V4",
    "deepseek-ai-DeepSeek-V4-Flash-0731",
    "fireworks-ai-llama-3-firefunction-v2",
    "google-gemma-4-31B-it",
    "google-gemma-4-31B-it-interleaved",
    "ibm-granite-granite-4.1",
    "inclusionai-ling-3.0-flash",
    "llama-cpp-rwkv-world",
    "muse-glimmer",
    "openbmb-MiniCPM5-1B",
    "poolside-Laguna-S-2.1",
    "poolside-Laguna-XS-2.1",
    "poolside-Laguna-XS.2",
    "tencent-Hy3",
    "upstage-Solar-Open-100B",
)
"""Templates of families that are not known, or not tested as such."""


@lru_cache
def templates() -> dict[str, str]:
    """The sources, by the names that llama.cpp gives them."""
    entry = cached("templates", key_of(version=llama_version()), _fetch, needs=_ARCHIVE_BYTES)
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(entry.glob("*.jinja"))}


def _fetch(folder: Path) -> None:
    wanted = f"{LLAMA}=={llama_version()}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", LLAMA, "-d", folder, wanted]
    subprocess.run([str(part) for part in command], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        for member in tar:
            if _FOLDER in member.name and member.name.endswith(".jinja"):
                file = tar.extractfile(member)
                assert file is not None
                (folder / Path(member.name).name).write_bytes(file.read())
    archive.unlink()
