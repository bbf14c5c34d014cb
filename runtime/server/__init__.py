"""HTTP: one package a dialect (`llamacpp`, `openai`, …), each over the same engine; no dialect knows another.

app, keys → the dialects, and what they find    serve → from start to signal   asking, wire → as a client
models → which one is asked                     recovering → when a worker was lost
llamacpp, openai, anthropic, ollama, dialect → what clients speak
generating, chatting, vectors, sampling, prompts → what dialects share
chat_messages, items, parts, arguments, tools → conversations as clients send them, whatever is in them
json, lenient → what bodies say
beside → what would hold up others               json_structure → how much a body may be made of
stream, json, timings, probabilities, completion_objects, generation_settings → how answers are written
readiness, renewing → what changes while it runs     tracing → what requests are called
sleeping → when models are loaded                confined → what it gives up
access, receiving, connections, listening, paths, tls → who may ask, where, and how much that may cost
refusals, errors → why not, and as which status
page, openapi, logging → what it shows of itself
sooner → what comes with the first request that needs it

Refuses to know how answers are computed (`engine/`), and how conversations become prompts (`chat/`).
"""

from runtime.server.sooner import import_web

import_web()
