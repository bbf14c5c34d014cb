"""Arrays as rules: first elements with rules of their own, then any number of others, between two counts."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Items

from runtime.grammar.gbnf import Ref, Rules, Sequence, Text
from runtime.grammar.shapes import ArrayLayer, Key


def array_alternatives(
    layers: Items[ArrayLayer], name: str, rules: Rules, whitespace: Ref, rule_of: Callable[[Key, str], str]
) -> list[Sequence]:
    """What an array can be that all of `layers` allow. Elements behind listed ones need `items` to be allowed."""
    least = max((layer.min_items for layer in layers), default=0)
    most = min((layer.max_items for layer in layers if layer.max_items is not None), default=None)
    listed = max((len(layer.prefix) for layer in layers), default=0)
    is_open = listed == 0 or any(layer.items is not None for layer in layers)
    comma: Sequence = (Text(","), whitespace)
    close: Sequence = (whitespace, Text("]"))

    def element(index: int) -> Ref:
        return Ref(rule_of(_key_of(index, layers), f"{name}-item"))

    def behind(count: int) -> Sequence | None:
        """What may follow `count` elements that are all listed; None where nothing does, not even the end."""
        low, high = max(least - count, 0), None if most is None else most - count
        if high is not None and high < low:
            return None
        if not is_open:
            return None if low else close
        next_one = rules.rule(f"{name}-next", (*comma, element(listed)))
        return (*rules.repeat(next_one, low, high), *close)

    ways: list[Sequence] = []
    if listed == 0 and most != 0 and (rest := behind(1)) is not None:
        ways = [(element(0), *rest)]
    elif own := listed if most is None else min(listed, most):
        tail = behind(own) if own == listed else close if least <= own else None
        tails = [] if tail is None else [tail]
        for index in range(own - 1, -1, -1):
            comma_here = comma if index else ()
            ways = [(*comma_here, element(index), *sequence) for sequence in _linked(tails, rules, name)]
            tails = [close, *ways] if least <= index else ways
    if least == 0:
        ways = [(Text("]"),), *ways]
    return [(Text("["), whitespace, *sequence) for sequence in _linked(ways, rules, name)]


def _linked(alternatives: list[Sequence], rules: Rules, name: str) -> list[Sequence]:
    """The same as at most one sequence: what has a choice gets a rule."""
    return alternatives if len(alternatives) < 2 else [(Ref(rules.rule(f"{name}-rest", *alternatives)),)]


def _key_of(index: int, layers: Items[ArrayLayer]) -> Key:
    keys = [layer.prefix[index] if index < len(layer.prefix) else layer.items or () for layer in layers]
    return tuple(dict.fromkeys(place for key in keys for place in key))
