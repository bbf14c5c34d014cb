"""HTTP: one package a dialect (`llamacpp`, `openai`, …), each over the same engine; no dialect knows another.

app → the dialects   serve → from start to signal   asking → without a network   models → which one is asked
generating, chatting, vectors → what dialects share   stream → how bytes are framed   errors → status codes
"""

from runtime.lean import enter_package

enter_package("aiohttp", __version__="")  # of which only `aiohttp.web` is used; app.py names us in its place
