"""The description that the server gives of itself: whole, valid, and readable without asking anybody else."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
import schemathesis

from runtime.server.app import DIALECTS
from runtime.server.dialect import FORM, Dialect, Route
from runtime.server.openapi import description
from support.bundles import Server


@pytest.fixture(scope="module")
def served(server: Server) -> dict[str, Any]:
    status, body = server.get("/openapi.json")
    assert status == 200
    assert isinstance(body, dict)
    return body


def test_what_is_served_is_what_the_routes_say(served: dict[str, Any]) -> None:
    assert served == description(DIALECTS)


def test_it_is_valid_openapi(served: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(served).validate()


def test_an_invalid_one_would_be_found(served: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="paths"):
        schemathesis.openapi.from_dict(served | {"paths": {"no slash": 3}}).validate()


ROUTES = [(dialect, route, path) for dialect in DIALECTS for route in dialect.routes for path in route.paths]


@pytest.mark.parametrize(
    ("dialect", "route", "path"), ROUTES, ids=[f"{route.method} {path}" for _dialect, route, path in ROUTES]
)
def test_every_route_is_in_it(served: dict[str, Any], dialect: Dialect, route: Route, path: str) -> None:
    operation = served["paths"][re.sub(r":[^}]*}", "}", path)][route.method.lower()]
    assert operation["tags"] == [dialect.name]
    assert operation["summary"], "the handler's docstring says what it is for"
    assert ("requestBody" in operation) == (route.body is not None)
    named = {parameter["name"] for parameter in operation.get("parameters", ())}
    assert named == set(re.findall(r"{(\w+)", path))


TAKING = [(route, path) for _dialect, route, path in ROUTES if route.body is not None]


@pytest.mark.parametrize(("route", "path"), TAKING, ids=[f"{route.method} {path}" for route, path in TAKING])
def test_every_body_has_an_example_that_is_taken(
    server: Server, served: dict[str, Any], route: Route, path: str
) -> None:
    """The demo model cannot do everything; but nothing of an example's form is refused."""
    body = served["paths"][re.sub(r":[^}]*}", "}", path)][route.method.lower()]["requestBody"]["content"]
    example = body[route.takes]["example"]
    assert msgspec.convert(example, route.body, strict=True) is not None
    if route.method == "POST" and route.takes != FORM:
        _status, answer = server.post(path.replace("{slot}", "0") + "?action=save", example)
        assert not re.search("Expected|required|bug", str(answer)), answer


def test_operations_have_names_of_their_own(served: dict[str, Any]) -> None:
    names = [one["operationId"] for operations in served["paths"].values() for one in operations.values()]
    assert len(names) == len(set(names)) == len(ROUTES)


def test_what_a_body_s_fields_are(served: dict[str, Any]) -> None:
    body = served["paths"]["/v1/messages"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = served["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert schema["properties"]["max_tokens"] == {"type": "integer"}
    assert "max_tokens" in schema["required"]


def test_streams_and_errors_are_in_each_dialect_s_form(served: dict[str, Any]) -> None:
    message = served["paths"]["/v1/messages"]["post"]
    assert set(message["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert message["responses"]["default"] == {"$ref": "#/components/responses/anthropic"}
    refusal = served["components"]["responses"]["anthropic"]["content"]["application/json"]
    assert refusal["example"]["type"] == "error"
    assert refusal["schema"]["properties"]["error"]["required"] == ["type", "message"]
    assert set(served["paths"]["/health"]["get"]["responses"]["200"]["content"]) == {"application/json"}


def test_the_page_asks_nobody_else(server: Server) -> None:
    status, html = server.get("/docs")
    assert status == 200
    assert "openapi.json" in html
    html = html.replace("http://www.w3.org/2000/svg", "")  # the name of a language, which nobody asks
    assert "http://" not in html
    assert "https://" not in html
