"""Streams of lines of JSON, as Ollama's clients read them."""

from __future__ import annotations

import http.client
import json
from typing import Any

from support.bundles import Server


def lines(server: Server, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a stream."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("application/x-ndjson")
    objects = [json.loads(line) for line in response]
    connection.close()
    return objects
