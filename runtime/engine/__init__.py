"""Runs a model for many clients at once.

types → what a request and its events are         cache → which tokens each KV sequence holds
scheduler → what goes into the next batch         text → tokens' bytes into text, stop strings
sequence → one request's state                    llama → the only importer of llama_cpp
engine → the worker thread that ties them together
generation → a request's events    backend → what the engine needs of llama

Nothing in here knows of HTTP or of chats.
"""
