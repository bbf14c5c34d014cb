"""How families of models write reasoning and tool calls: one entry each, from which parser and grammar are made.

A new family is an entry in `families.py` and a recorded example in `tests/data/answers.toml`.
"""
