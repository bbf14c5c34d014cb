"""What lies in templates/deploy/, as the programs take it that it is for."""

from __future__ import annotations

import collections
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from support.bundles import Server
from support.places import BENCHMARKS, ROOT
from support.programs import needs
from support.waiting import wait_until

sys.path.append(str(BENCHMARKS))

from balancing import balanced, configured

DEPLOY = ROOT / "templates" / "deploy"
TURNS = 3


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def conversation(number: int, form: str) -> list[dict[str, object]]:
    """Its first turn; many have the same system prompt."""
    said = f"Let us talk about the number {number}."
    content = {"text": said, "parts": [{"type": "text", "text": said}]}[form]
    return [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": content}]


@pytest.mark.parametrize("form", ["text", "parts"])
def test_haproxy_brings_each_conversation_back(demo: Path, warm_cache: Path, form: str) -> None:
    needs("haproxy")
    with Server(demo, cache=warm_cache) as one, Server(demo, cache=warm_cache) as two:
        port = free_port()
        with balanced(port, [f"127.0.0.1:{each.port}" for each in (one, two)], by_prefix=True, spills=False):
            front = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_answered(front))
            chats = [conversation(number, form) for number in range(8)]
            served = collections.defaultdict(set)
            for _ in range(TURNS):
                for number, messages in enumerate(chats):
                    answer, replica = asked(front, messages)
                    served[number].add(replica)
                    messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": "And then?"}]
    assert [len(replicas) for replicas in served.values()] == [1] * len(chats)
    assert len(set.union(*served.values())) == 2


def test_haproxy_takes_the_file_as_it_lies() -> None:
    needs("haproxy")
    subprocess.run(["haproxy", "-c", "-q", "-f", DEPLOY / "haproxy.cfg"], check=True)
    assert "balance roundrobin" in configured(1, ["a:2", "b:3"], by_prefix=False)


def test_systemd_shuts_the_service_in() -> None:
    needs("systemd-analyze", "systemd")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", DEPLOY / "loaf.service"]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_nginx_takes_its_file() -> None:
    needs("nginx", "nginx-light")
    asked = subprocess.run(["nginx", "-t", "-c", DEPLOY / "nginx.conf"], capture_output=True, text=True)
    assert "syntax is ok" in asked.stderr


def is_answered(front: str) -> bool:
    try:
        with urllib.request.urlopen(f"{front}/health") as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def asked(front: str, messages: list[dict[str, object]]) -> tuple[str, str]:
    """What is answered, and by which replica."""
    body = json.dumps({"messages": messages, "max_tokens": 4}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{front}/v1/chat/completions", body)) as answer:
        return json.load(answer)["choices"][0]["message"]["content"], answer.headers["X-Replica"]
