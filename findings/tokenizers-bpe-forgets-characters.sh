#!/usr/bin/env bash
# Expected: a BPE tokenizer raises an error, or marks the place, where its vocabulary has no token for a character.
# Instead, without `unk_token` (the default, and what tokenizers trained by BpeTrainer have unless told otherwise),
# the character vanishes without a sign, and what stood on either side of it is merged as if it had been adjacent:
# "a-b" becomes the one token "ab". The offsets that come with it are those of "a-".
# It matters to whoever trains a vocabulary, or writes one for a small model or a test: texts come back changed, words
# that were apart are one, and nothing counts what was lost.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What it asks for besides is only for downloads.
{ python3 -m venv "$work/venv" && "$work/venv/bin/pip" -qq install --no-deps tokenizers==0.23.3; } || exit 2

"$work/venv/bin/python" - <<'PYTHON'
import sys

import tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

print("tokenizers", tokenizers.__version__)

by_hand = tokenizers.Tokenizer(BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
trained = tokenizers.Tokenizer(BPE())
trained.train_from_iterator(["ab ab ab"], BpeTrainer(show_progress=False))

changed = []
for name, tokenizer in {"by hand": by_hand, "trained": trained}.items():
    for text in ("ab", "a-b", "a\n\n-b"):
        encoding = tokenizer.encode(text)
        print(f"{name}: {text!r} becomes {encoding.tokens}, at {encoding.offsets}")
        if encoding.tokens != ["ab"]:
            changed.append(text)
    if tokenizer.encode("a-b").offsets != [(0, 2)]:
        changed.append("offsets")

marking = tokenizers.Tokenizer(BPE({"a": 0, "b": 1, "ab": 2, "?": 3}, [("a", "b")], unk_token="?"))
print(f"with unk_token: 'a-b' becomes {marking.encode('a-b').tokens}")
if changed or marking.encode("a-b").tokens != ["a", "?", "b"]:
    sys.exit(f"Changed: {changed or 'unk_token'}")
print("Still so: what is not in the vocabulary is forgotten, and its neighbours are one token.")
PYTHON
