"""Grammars over llama.cpp's own grammar sampler: one that holds from the beginning, one that waits for a trigger.

llama.cpp has lazy grammars of its own. They end the process with a C++ exception when what follows the trigger, in
the same token, does not fit the grammar, or when a pattern is not one that std::regex knows: nothing that a request
may cause. So the waiting is done here, and a token that would begin the grammar wrongly is not allowed.

llama.cpp sets no limit to what following a grammar may cost either; `gbnf/ways.py` does, beside it.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any, Protocol

from runtime.engine.errors import GrammarInvalid
from runtime.engine.gbnf.reading import read_gbnf
from runtime.engine.gbnf.ways import Ways
from runtime.engine.llama.candidates import Candidates
from runtime.engine.llama.vocabulary import Vocabulary
from runtime.engine.types import Triggers

_LAZY_ROOT = "loaf-lazy-root"


class Restriction(Protocol):
    """What a sampler asks of either grammar."""

    def allows(self, token: int) -> bool: ...
    def restrict(self, candidates: Candidates, refused: Sequence[int]) -> None: ...
    def accept(self, token: int) -> None: ...
    def close(self) -> None: ...


class Grammar:
    """Every token must continue what `text` (GBNF) allows from the rule `root` on.

    Raises `GrammarInvalid`, and `GrammarTooCostly` when it is made or when a token is accepted.
    """

    def __init__(self, lib: Any, vocabulary: Vocabulary, text: str, root: str = "root") -> None:
        self._lib = lib
        self._vocabulary = vocabulary
        data = text.encode("utf-8", "replace")
        self._ways = Ways(read_gbnf(data.decode()), root)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._sampler = lib.llama_sampler_init_grammar(vocabulary.handle, data, root.encode())
        if not self._sampler:
            raise GrammarInvalid

    def allows(self, token: int) -> bool:
        """Whether `token` may come next. One that it would take too long to say of may not."""
        return self._is_quickly_said(token) and Candidates.allows(self._lib, self._sampler, token)

    def restrict(self, candidates: Candidates, refused: Sequence[int]) -> None:  # noqa: ARG002
        """Leave in `candidates` only what may come next."""
        length = self._ways.cheap_length()
        if length is not None:
            candidates.leave_out(self._vocabulary.longer_than(length))
        candidates.apply(self._sampler)

    def accept(self, token: int) -> None:
        """`token`, which is allowed, comes next."""
        if token not in self._vocabulary.ends:
            self._ways.accept(self._decoder.decode(self._vocabulary.piece(token, special=True)))
        self._lib.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        self._lib.llama_sampler_free(self._sampler)

    def _is_quickly_said(self, token: int) -> bool:
        if token in self._vocabulary.ends:
            return True
        state = self._decoder.getstate()
        text = self._decoder.decode(self._vocabulary.piece(token, special=True))
        is_whole = not self._decoder.getstate()[0]
        self._decoder.setstate(state)
        return self._ways.are_few(text, is_whole=is_whole)


class LazyGrammar:
    """Everything is allowed until a trigger; from the trigger itself on, `text` (GBNF) holds.

    Raises `GrammarInvalid`.
    """

    def __init__(self, lib: Any, vocabulary: Vocabulary, text: str, triggers: Triggers) -> None:
        self._lib = lib
        self._vocabulary = vocabulary
        self._text = text
        self._tokens = frozenset(triggers.tokens)
        self._words = tuple(word.encode("utf-8", "replace") for word in triggers.words)
        self._reach = max(map(len, self._words), default=1) - 1
        self._recent: list[int] = []
        self._begun: Grammar | None = None
        self._would_begin: tuple[int, Grammar] | None = None
        Grammar(lib, vocabulary, text).close()  # says now what is wrong with it

    def allows(self, token: int) -> bool:
        """Whether `token` may come next: always, unless it begins the grammar with what does not fit it."""
        if self._begun is not None:
            return self._begun.allows(token)
        self._forget_attempt()
        first, preamble = self._trigger_in(token)
        if first is None:
            return True
        grammar = self._grammar_after(preamble)
        if grammar is None or not _accept_all(grammar, [*self._recent[first:], token]):
            return False
        self._would_begin = (token, grammar)
        return True

    def restrict(self, candidates: Candidates, refused: Sequence[int]) -> None:
        """Leave in `candidates` only what may come next; of what would begin the grammar, drop what was `refused`."""
        if self._begun is not None:
            self._begun.restrict(candidates, refused)
        else:
            for token in refused:
                candidates.ban(token)

    def accept(self, token: int) -> None:
        """`token`, which is allowed, comes next."""
        if self._begun is not None:
            self._begun.accept(token)
        elif self._would_begin is not None and self._would_begin[0] == token:
            self._begun, self._would_begin = self._would_begin[1], None
        else:
            self._forget_attempt()
            self._recent.append(token)
            while len(b"".join(map(self._piece, self._recent[1:]))) >= self._reach and len(self._recent) > 1:
                del self._recent[0]

    def close(self) -> None:
        self._forget_attempt()
        if self._begun is not None:
            self._begun.close()

    def _trigger_in(self, token: int) -> tuple[int | None, bytes]:
        """Where the grammar would begin if `token` came next.

        The index in `_recent` of the token it begins in (its length stands for `token`), None for nowhere, and what
        of that token comes before it.
        """
        pieces = [self._piece(recent) for recent in (*self._recent, token)]
        if token in self._tokens:
            return len(pieces) - 1, b""
        text = b"".join(pieces)
        found = [place for word in self._words if (place := text.find(word)) >= 0]
        if not found:
            return None, b""
        place = min(found)
        for i, piece in enumerate(pieces):
            if place < len(piece):
                return i, piece[:place]
            place -= len(piece)
        raise AssertionError("the place is within the text")

    def _grammar_after(self, preamble: bytes) -> Grammar | None:
        """The grammar, made to take `preamble` first: a token can only be accepted whole."""
        try:
            literal = "".join(f"\\U{ord(character):08X}" for character in preamble.decode())
        except UnicodeDecodeError:
            return None
        text = f'{self._text}\n{_LAZY_ROOT} ::= "{literal}" root\n' if literal else self._text
        return Grammar(self._lib, self._vocabulary, text, _LAZY_ROOT if literal else "root")

    def _forget_attempt(self) -> None:
        if self._would_begin is not None:
            self._would_begin[1].close()
            self._would_begin = None

    def _piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token, special=True)


def _accept_all(grammar: Grammar, tokens: Sequence[int]) -> bool:
    """Whether `grammar` takes `tokens`; frees it if not."""
    for token in tokens:
        if not grammar.allows(token):
            grammar.close()
            return False
        grammar.accept(token)
    return True
