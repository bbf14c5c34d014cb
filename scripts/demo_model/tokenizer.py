"""The demo model's vocabulary: byte-level BPE, split the way llama.cpp's "qwen2" pre-tokenizer splits.

Knows how text becomes token ids and which tokens are markup. Knows nothing of conversations or of GGUF.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

PRE = "qwen2"
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL = (END_OF_TEXT, START, END)  # never shown in output
MARKUP = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")  # shown, as Qwen's are
VOCABULARY = 1280

# src/llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_QWEN2: every digit stands alone, which lets the model copy numbers.
_SPLIT = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer whose merges are learnt from `texts`, with the special tokens after them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(CONTROL) - len(MARKUP),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator((_without_wide(text) for text in texts), trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in CONTROL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in MARKUP])
    return tokenizer


def _without_wide(text: str) -> str:
    """Leaves Chinese and emoji out of the merges: they stay several byte tokens each, which tests streaming."""
    return "".join(letter if ord(letter) < 0x2000 else " " for letter in text)
