"""Conversations into prompts, and answers into their parts.

conversation, messages → what a dialect hands on         template, sandbox, budget → the model's own program, kept small
prompt, prompts → all that becomes of a conversation     capabilities → what a template can do, found out by trying
history, exchanges, order → turns that a template takes
formats → how families write calls and reasoning         parsing → the text of an answer into content, reasoning, calls
grammar, call_rules → what an answer may be              writing → calls in a family's format
job, answer → to the engine, and what comes back         errors → what can go wrong
media → what a prompt has in the place of a conversation's pictures and sounds
named, fallback → templates for models without one

Knows templates and messages; refuses to know tokens, engines and HTTP.
"""
