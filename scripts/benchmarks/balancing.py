"""HAProxy before several replicas, as templates/deploy/haproxy.cfg has it, or taking them in turn.

Knows the places in that file that a machine has to change. Refuses to know what is asked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = Path(__file__).resolve().parents[2] / "templates" / "deploy" / "haproxy.cfg"


class HAProxyMissing(Exception):
    """HAProxy is not on PATH."""

    def __init__(self) -> None:
        super().__init__("haproxy is not on PATH: apt-get install haproxy")


@contextmanager
def balanced(port: int, replicas: Sequence[str], *, by_prefix: bool, spills: bool = True) -> Iterator[None]:
    """HAProxy on `port` of loopback before the servers `replicas`, HOST:PORT each, while the block runs.

    Not `spills`: a replica that has more to do than the others keeps what is its own.

    Raises HAProxyMissing, and CalledProcessError where it does not take the configuration.
    """
    if shutil.which("haproxy") is None:
        raise HAProxyMissing
    with tempfile.TemporaryDirectory(prefix="loaf-haproxy-") as folder:
        file = Path(folder) / "haproxy.cfg"
        file.write_text(configured(port, replicas, by_prefix=by_prefix, spills=spills))
        subprocess.run(["haproxy", "-c", "-q", "-f", file], check=True)
        process = subprocess.Popen(["haproxy", "-db", "-f", file], stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def configured(port: int, replicas: Sequence[str], *, by_prefix: bool, spills: bool = True) -> str:
    """The text of the configuration for these places."""
    text = CONFIGURATION.read_text()
    options = re.findall(r"^    server one \S+ (.*)$", text, re.MULTILINE)[0]
    servers = "".join(f"    server n{number} {to} {options}\n" for number, to in enumerate(replicas))
    text = re.sub(r"(^    server .*\n)+", servers, text, flags=re.MULTILINE)
    text = re.sub(r"^    bind .*$", f"    bind 127.0.0.1:{port}", text, flags=re.MULTILINE)
    if not spills:
        text = re.sub(r"^    hash-balance-factor .*\n", "", text, flags=re.MULTILINE)
    if not by_prefix:
        text = re.sub(r"^    balance .*$", "    balance roundrobin", text, flags=re.MULTILINE)
        text = re.sub(r"^    hash-.*\n", "", text, flags=re.MULTILINE)
    return text
