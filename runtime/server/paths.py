"""Paths as clients write them, with slashes doubled and at the end, as the routes have them.

It is done before anything else looks at a request, so that all see the same path: who asks for a key, too.
"""

from __future__ import annotations

from typing import Any

from yarl import URL


def with_plain_path(message: Any, root: str) -> Any:
    """aiohttp's `RawRequestMessage`, with each run of slashes as one, and none at the end but in `root`.

    A target that is no path (`*`, or a whole address, as proxies are sent) stays as it is.
    """
    path, mark, query = message.path.partition("?")
    if not path.startswith("/"):
        return message
    plain = plain_path(path, root)
    if plain == path:
        return message
    url = URL.build(path=plain, query_string=query.partition("#")[0], encoded=True)
    return message._replace(path=plain + mark + query, url=url)


def plain_path(path: str, root: str) -> str:
    """`path`, which begins with a slash and is as it was sent: what is escaped in it is not looked at."""
    if "//" not in path and (not path.endswith("/") or path == root):
        return path
    joined = "/" + "/".join(part for part in path.split("/") if part)
    return root if f"{joined}/" == root and path.endswith("/") else joined
