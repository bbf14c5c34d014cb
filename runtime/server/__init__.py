"""HTTP: one module a dialect (`openai`, `llamacpp`), each over the same engine; no dialect knows another.

app → the route table    serve → from start to signal    stream → server-sent events    errors → status codes
"""
