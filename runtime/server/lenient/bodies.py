"""A body once more, where it was not what its type says: whatever means the same is taken for it.

All of it happens only then, so that others lose no time. Knows types. Refuses to know what a field means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from runtime.server.lenient.numbers import NumbersInText

T = TypeVar("T")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = 2.0**64
"""Whole floats beyond it are nobody's integers."""

_DICT = (inspect.DictType, inspect.StructType)
_LIST = (inspect.ListType, inspect.VarTupleType)


def decode_leniently(body: bytes, type_: type[T]) -> T:
    """`body` as `type_`. Raises `msgspec.ValidationError`, and `ValueError` or `RecursionError` where it is no JSON."""
    wanted: Any = type_  # types can be hashed, which mypy does not know of every `type[T]`
    return msgspec.convert(_fitted(_parsed(body), _info_of(wanted)), type_)


# -- JSON -----------------------------------------------------------------------------------------------------------


def _parsed(body: bytes) -> Any:
    """Raises `ValueError`, `RecursionError`."""
    text = body.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "surrogatepass")
    value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    return _without_halves(value) if r"\u" in text or _SURROGATE.search(text) else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:40]} is out of range")
    return number


def _without_halves(value: Any) -> Any:
    """The same with U+FFFD for each half of a surrogate pair."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_halves(one) for one in value]
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(one) for key, one in value.items()}
    return value


# -- types ----------------------------------------------------------------------------------------------------------


@cache
def _info_of(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


@cache
def _fields(struct: type[msgspec.Struct]) -> Mapping[str, inspect.Type]:
    """The types of a structure's fields, by their names in JSON."""
    info = _info_of(struct)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: field.type for field in info.fields}


def _fitted(value: Any, wanted: inspect.Type, *, numbers_in_text: bool = False) -> Any:
    """`value`, and all that is in it, as near to `wanted` as the policy brings it."""
    kinds = _alternatives(wanted)
    if isinstance(value, dict):
        return _fitted_object(value, kinds)
    if isinstance(value, list):
        return _fitted_list(value, kinds)
    if isinstance(value, float):
        is_needed_whole = _has(kinds, inspect.IntType) and not _has(kinds, inspect.FloatType)
        return int(value) if is_needed_whole and value.is_integer() and abs(value) < _LARGEST else value
    if isinstance(value, str) and numbers_in_text and not _has(kinds, inspect.StrType):
        return _number_in(value, kinds)
    return value


def _fitted_object(value: dict[str, Any], kinds: tuple[inspect.Type, ...]) -> Any:
    for kind in kinds:
        if isinstance(kind, inspect.DictType):
            entries = ((key, one) for key, one in value.items() if one is not None or _takes_null(kind.value_type))
            return {key: _fitted(one, kind.value_type) for key, one in entries}
        if isinstance(kind, inspect.StructType) and (kind.tag is None or value.get(kind.tag_field or "") == kind.tag):
            return _fitted_structure(value, kind)
    return value


def _fitted_structure(value: dict[str, Any], kind: inspect.StructType) -> dict[str, Any]:
    fields = _fields(kind.cls)
    numbers_in_text = issubclass(kind.cls, NumbersInText)
    known: dict[str, Any] = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
    for name, one in value.items():
        field = fields.get(name)
        if field is not None and (one is not None or _takes_null(field)):
            known[name] = _fitted(one, field, numbers_in_text=numbers_in_text)
    return known


def _fitted_list(value: list[Any], kinds: tuple[inspect.Type, ...]) -> Any:
    for kind in kinds:
        if isinstance(kind, _LIST):
            return [_fitted(one, kind.item_type) for one in value if one is not None or _takes_null(kind.item_type)]
        if isinstance(kind, inspect.TupleType) and len(kind.item_types) == len(value):
            return [_fitted(one, wanted) for one, wanted in zip(value, kind.item_types, strict=True)]
    return {} if not value and _has(kinds, *_DICT) else value


_NUMBER = re.compile(r"\s*[-+]?\d{1,20}(\.\d{0,20})?(e[-+]?\d{1,2})?\s*", re.ASCII | re.IGNORECASE)


def _number_in(text: str, kinds: tuple[inspect.Type, ...]) -> Any:
    """The number that `text` is, where it is one that is taken; else `text`."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    if found.lastindex is None and _has(kinds, inspect.IntType):
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() and _has(kinds, inspect.IntType) else number


def _alternatives(wanted: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(wanted, inspect.Metadata):
        return _alternatives(wanted.type)
    return wanted.types if isinstance(wanted, inspect.UnionType) else (wanted,)


def _has(kinds: tuple[inspect.Type, ...], *classes: type[inspect.Type]) -> bool:
    return any(isinstance(kind, classes) for kind in kinds)


def _takes_null(wanted: inspect.Type) -> bool:
    return _has(_alternatives(wanted), inspect.NoneType, inspect.AnyType)
