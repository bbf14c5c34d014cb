"""Jinja2's immutable sandbox with what Hugging Face's templates expect to find, and with a budget.

The functions, filters and tags are those that `transformers` gives templates (utils/chat_template_utils.py). Before a
template is compiled, its loops, macros, comparisons, slices and joined texts are made to pay for what they do; calls,
operators, filters and what is written are paid for through Jinja2's own hooks. Lists that a template makes may grow:
Kimi's want that, and `transformers` refuses it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import update_wrapper
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from runtime.chat.budget import Budget, size

_STEP, _CALL = 100, 200
"""What one round of a loop costs, and a call, besides the text in it."""

_COMPILING = 10_000_000
"""The budget while a template is compiled: constants are calculated then."""

_FREE_TESTS = frozenset(
    ("boolean", "callable", "defined", "even", "false", "filter", "float", "integer", "iterable", "mapping", "none",
     "number", "odd", "sequence", "string", "test", "true", "undefined")
)  # fmt: skip
"""Tests that look at what a value is, not at what is in it."""

_SHALLOW = frozenset(
    ("attr", "count", "d", "default", "dictsort", "first", "items", "last", "length", "list", "map", "reject",
     "rejectattr", "reverse", "safe", "select", "selectattr")
)  # fmt: skip
"""Filters that look at a list but not into what is in it."""

_TICK, _SEEN, _JOINED = " tick", " seen", " joined"
"""Filters that a template cannot name, for its name would need a space."""


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """Compiles and runs chat templates; each run within `spending`, from any thread."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation], optimized=False,
            finalize=self._written,
        )  # fmt: skip
        self._running = threading.local()
        self.filters = {name: self._paid(name, function) for name, function in self.filters.items()}
        self.filters |= {"tojson": self._paid("tojson", _tojson)}
        self.filters |= {_TICK: self._tick, _SEEN: self._seen, _JOINED: self._joined}
        self.tests = {
            name: test if name in _FREE_TESTS else self._paid(name, test) for name, test in self.tests.items()
        }
        del self.globals["lipsum"]
        self.globals |= {"raise_exception": _raise_exception, "strftime_now": _strftime_now, "namespace": _Namespace}

    @contextmanager
    def spending(self, budget: Budget, *frozen: Any) -> Iterator[None]:
        """What is done inside pays out of `budget`. The lists in `frozen` cannot be changed."""
        self._running.budget = budget
        self._running.frozen = frozenset(_lists_in(frozen))
        try:
            yield
        finally:
            del self._running.budget, self._running.frozen

    def from_string(self, source: Any, *arguments: Any, **options: Any) -> jinja2.Template:
        with self.spending(Budget(_COMPILING)):
            return super().from_string(source, *arguments, **options)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if type(obj) is list and attr in ("append", "pop") and id(obj) not in self._running.frozen:
            return True
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        self._budget.operate(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        __self._pay_for_call(__obj, (*args, *kwargs.values()))
        return super().call(__context, __obj, *args, **kwargs)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = Parser(self, source, name, filename).parse()
        _Meter().visit(parsed)
        parsed.set_environment(self)
        return parsed

    @property
    def _budget(self) -> Budget:
        budget: Budget = self._running.budget
        return budget

    def _pay_for_call(self, function: Any, arguments: tuple[Any, ...]) -> None:
        budget = self._budget
        method = getattr(function, "__wrapped__", function)  # `str.format` is wrapped by the sandbox
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, str):
            if name in ("format", "format_map"):
                budget.format(owner, list(arguments))
            elif name in ("translate", "maketrans"):
                raise SecurityError(f"{name} is not for chat templates")
            else:
                budget.apply(name, owner, arguments)
        else:
            budget.spend(_CALL + size(owner) + sum(map(size, arguments)))

    def _paid(self, name: str, function: Any) -> Callable[..., Any]:
        """The filter or test, which pays before it works."""
        passed = getattr(function, "jinja_pass_arg", None)

        def paid(*arguments: Any, **named: Any) -> Any:
            value, *rest = arguments[1:] if passed else arguments
            budget = self._budget
            if name in _SHALLOW:
                budget.spend(size(value) + 1)
            elif name == "format":
                budget.format(str(value), [rest, named])
            else:
                budget.apply(name, value, (*rest, *named.values()))
            return function(*arguments, **named)

        return update_wrapper(paid, function)

    def _tick(self, units: int) -> bool:
        self._budget.spend(units)
        return True

    def _seen(self, value: Any) -> Any:
        self._budget.see(value)
        return value

    def _written(self, value: Any) -> Any:
        self._budget.see(value)
        return value

    def _joined(self, parts: list[Any]) -> str:
        self._budget.see(parts)
        return "".join(map(str, parts))


class _Meter(NodeTransformer):
    """Makes the parts of a template pay that Jinja2 has no hooks for."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        node.body.insert(0, _step(node.body, node.lineno))
        if node.test is not None:
            node.test = nodes.And(_filter(nodes.Const(_STEP), _TICK), node.test)
        return self.generic_visit(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        node.body.insert(0, _step(node.body, node.lineno))
        return self.generic_visit(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        node.body.insert(0, _step(node.body, node.lineno))
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes), _JOINED)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        # a copy: paid for afterwards, and it is no larger than what was paid for already
        return _filter(node, _SEEN) if isinstance(node.arg, nodes.Slice) else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:  # noqa: N802
        self.generic_visit(node)
        node.expr = _metered(node.expr)
        for operand in node.ops:
            operand.expr = _metered(operand.expr)
        return node


def _metered(expression: nodes.Expr) -> nodes.Expr:
    return expression if isinstance(expression, nodes.Const) else _filter(expression, _SEEN)


def _step(body: list[nodes.Node], line: int) -> nodes.Node:
    """A statement that pays for one time through `body`."""
    text = sum(len(data.data) for node in body for data in _text_in(node))
    return nodes.ExprStmt(_filter(nodes.Const(_STEP + text), _TICK)).set_lineno(line)


def _text_in(node: nodes.Node) -> Iterator[nodes.TemplateData]:
    return node.find_all(nodes.TemplateData)


def _filter(value: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None)


class _Generation(Extension):
    """`{% generation %}`: marks, for training, what the assistant says; here it is only its content."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(Namespace):
    """As Jinja2's, without names that begin with an underscore."""

    def __init__(*args: Any, **values: Any) -> None:
        for name in values:
            _check_name(name)
        Namespace.__init__(*args, **values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: str) -> None:
    if name.startswith("_"):
        raise SecurityError(f"a namespace cannot have {name!r}")


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """No HTML escapes, unlike Jinja2's own."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> str:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    Budget(1_000).format(pattern, "")  # a C library pads to any width that it is told
    return datetime.now().strftime(pattern)


def _lists_in(values: Any) -> Iterator[int]:
    """The identities of all lists in `values`."""
    todo = list(values)
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            yield id(value)
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
