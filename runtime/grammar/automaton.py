"""Automata over characters, and the rules that say the same.

A rule is written for each state: the characters that may come next, each with the rule of the state they lead to.
Where the automaton is deterministic, llama.cpp has one way to read a text at a time; a grammar shaped like a regular
expression has many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from runtime.grammar.charset import Ranges, union
from runtime.grammar.gbnf import Ref, Rules, Sequence
from runtime.grammar.work import Work

_STATE_STEPS = 25
"""What it takes to make a rule of a state, in steps of `Work`."""

State = TypeVar("State")


class TooMuch(Exception):
    """Finding an automaton takes more steps of `Work` than were given to it."""


class Automaton(msgspec.Struct, frozen=True):
    """States are numbered from 0, the first. `edges[s]` lists characters and where they lead."""

    edges: tuple[tuple[tuple[Ranges, int], ...], ...]
    accepting: frozenset[int]


def explore(
    start: State,
    steps: Callable[[State], Iterable[tuple[Ranges, State]]],
    accepts: Callable[[State], bool],
    work: Work,
    most: int | None = None,
) -> Automaton:
    """The automaton of everything that can be reached from `start`, without states that lead nowhere.

    Raises `TooMuch` if that takes more than `most` steps of `work`.
    """
    end = None if most is None else work.spent + most
    numbers = {start: 0}
    states = [start]
    edges: list[dict[int, Ranges]] = []
    for state in states:
        out: dict[int, Ranges] = {}
        for ranges, target in steps(state):
            if target not in numbers:
                numbers[target] = len(states)
                states.append(target)
            out[numbers[target]] = union(out.get(numbers[target], ()), ranges)
        edges.append(out)
        work.spend(_STATE_STEPS)
        if end is not None and work.spent > end:
            raise TooMuch
    accepting = frozenset(number for number, state in enumerate(states) if accepts(state))
    alive = _leading_to(accepting, edges)
    kept = tuple(tuple((ranges, to) for to, ranges in out.items() if to in alive) for out in edges)
    return Automaton(kept, accepting)


def rule_of(
    automaton: Automaton, rules: Rules, base: str, written: Callable[[Ranges], Sequence], end: Sequence = ()
) -> str:
    """The name of a rule for what `automaton` accepts, followed by `end`.

    `written` says how one of some characters is written in the text.
    """
    # Last states come first, so that states from which the same can follow become the same rule: in one automaton, and
    # in all of a grammar.
    names: dict[int, str] = {}
    behind: dict[int, Sequence] = {}
    entries = Counter(target for out in automaton.edges for _, target in out)
    for state in _last_first(automaton):
        alternatives: list[Sequence] = [end] if state in automaton.accepting else []
        for ranges, target in automaton.edges[state]:
            if target not in behind:
                # a loop leads back to a state that comes later
                names[target] = rules.reserve(base)
                behind[target] = (Ref(names[target]),)
            alternatives.append((*written(ranges), *behind[target]))
        if state in names:
            rules.define(names[state], alternatives)
        elif len(alternatives) == 1 and (entries[state] < 2 or len(alternatives[0]) < 2) and state != 0:
            behind[state] = alternatives[0]
        else:
            names[state] = rules.rule(base, *alternatives)
            behind[state] = (Ref(names[state]),)
    return names[0]


def _last_first(automaton: Automaton) -> list[int]:
    """The states, each behind those that it leads to, but for loops."""
    order: list[int] = []
    seen = {0}
    path = [(0, iter(automaton.edges[0]))]
    while path:
        state, edges = path[-1]
        target = next((target for _, target in edges if target not in seen), None)
        if target is None:
            order.append(state)
            path.pop()
        else:
            seen.add(target)
            path.append((target, iter(automaton.edges[target])))
    return order


def _leading_to(accepting: Iterable[int], edges: list[dict[int, Ranges]]) -> set[int]:
    sources: dict[int, list[int]] = {}
    for state, out in enumerate(edges):
        for target in out:
            sources.setdefault(target, []).append(state)
    alive, todo = set(accepting), list(accepting)
    while todo:
        for source in sources.get(todo.pop(), []):
            if source not in alive:
                alive.add(source)
                todo.append(source)
    return alive
