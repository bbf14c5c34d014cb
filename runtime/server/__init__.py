"""HTTP: one module a dialect (`openai`, `llamacpp`), each over the same engine; no dialect knows another.

app → the route table    serve → from start to signal    stream → server-sent events    errors → status codes
"""

from runtime.lean import enter_package

enter_package("aiohttp", __version__="")  # of which only `aiohttp.web` is used; app.py names us in its place
