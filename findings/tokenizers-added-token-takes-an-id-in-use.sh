#!/usr/bin/env bash
# Expected: a token that is added to a tokenizer gets an id that no other token has.
# Instead: it gets the number of tokens there are. In a vocabulary whose ids have a gap, that is the id of another
# token: `add_tokens` reports success, both have one id, and decoding gives the new token's text for the old one.
# It matters to whoever cuts a vocabulary down to size and then adds the markers of a chat to it: the model is trained
# and asked with two meanings of one id, and what it says of the old one is read as the new one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What it asks for besides is only for downloads.
{ python3 -m venv "$work/venv" && "$work/venv/bin/pip" -qq install --no-deps tokenizers==0.23.3; } || exit 2

"$work/venv/bin/python" - <<'PYTHON'
import sys

import tokenizers
from tokenizers.models import BPE

print("tokenizers", tokenizers.__version__)


def add(vocabulary: dict[str, int]) -> tuple[int, str]:
    """The id of the token "<new>" in `vocabulary`, and what "yes" is after encoding and decoding it there."""
    tokenizer = tokenizers.Tokenizer(BPE(vocabulary, [], ignore_merges=True))
    assert tokenizer.decode(tokenizer.encode("yes").ids) == "yes"
    added = tokenizer.add_tokens(["<new>"])
    back = tokenizer.decode(tokenizer.encode("yes").ids)
    print(f"{vocabulary}: {added} token added, {tokenizer.get_vocab()}; 'yes' comes back as {back!r}")
    return tokenizer.token_to_id("<new>"), back


without_gap = add({"no": 0, "yes": 1})
with_gap = add({"no": 0, "yes": 2})
if without_gap != (2, "yes"):
    sys.exit("Changed: ids without a gap are treated in another way.")
if with_gap != (2, "<new>"):
    sys.exit("Changed: ids with a gap make no two tokens with one id.")
print("Still so: two tokens have the id 2.")
PYTHON
