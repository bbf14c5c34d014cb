"""What a request asks of the form of an answer, as a grammar that llama.cpp can hold a model to.

Knows JSON Schema and GBNF, nothing of requests, engines or models; imports nothing but `runtime.errors` and msgspec.
`json_schema.py` is the way in.
"""
