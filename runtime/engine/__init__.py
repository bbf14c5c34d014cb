"""Runs a model for many clients at once.

engine → the worker thread                        jobs, mailbox → requests' results on their way back
generating, embedding → its steps                 slots → states of sequences, saved and restored
scheduler → what goes into the next batch         lookup → guesses of what comes next
cache, pool → what each KV sequence holds         shelf, storage → what was moved out of the pool
sequence → one request's state                    text → tokens' bytes into text, stop strings
types → what a request and its events are         stats → numbers of all of it
backend → what the engine needs of a model        gbnf → grammars, and what they cost
llama → the only importer of llama_cpp

Nothing in here knows of HTTP or of chats.
"""
