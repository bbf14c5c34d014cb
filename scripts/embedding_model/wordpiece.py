"""The vocabulary of both models: whole words, and pieces for the words that it has not got. BERT's, uncased.

Knows how text becomes token ids, the same way as llama.cpp's "bert" tokenizer. Knows nothing of GGUF.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

PAD, UNKNOWN, START, SEPARATOR, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUED = "##"
"""What a piece inside a word begins with."""

_ASCII = {chr(code) for code in range(ord("!"), ord("~") + 1)} - set(string.ascii_uppercase)
_ENDINGS = 300
_WORDS = 1000


def make(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer with the letters, the commonest endings and the commonest words of `texts`.

    It is counted here rather than by a trainer of the tokenizers library, whose ids differ from run to run.
    """
    tokenizer = Tokenizer(models.WordPiece({UNKNOWN: 0}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = Counter(word for text in texts for word in _split(tokenizer, text))
    letters = sorted({letter for word in words for letter in word if ord(letter) < 0x2000} | _ASCII)
    endings = Counter[str]()
    for word, count in words.items():
        for length in range(2, min(5, len(word) - 1)):
            endings[CONTINUED + word[-length:]] += count
    pieces = [*SPECIAL, *letters, *(CONTINUED + letter for letter in letters)]
    pieces += _commonest(endings, _ENDINGS) + _commonest(words, _WORDS)
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer.model = models.WordPiece(vocabulary, unk_token=UNKNOWN)
    return tokenizer


def _split(tokenizer: Tokenizer, text: str) -> list[str]:
    normal = tokenizer.normalizer.normalize_str(text)
    return [word for word, _place in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]


def _commonest(counts: Counter[str], number: int) -> list[str]:
    """The most frequent first; those that are as frequent as each other in alphabetical order."""
    return sorted(counts, key=lambda text: (-counts[text], text))[:number]
