"""Which weights go into a bundle, and whether they fit each other: models, and parts of the first of them.

models   found, looked into, given names that differ        parts   adapters, projectors and draft models

Refuses to know what becomes of them: smaller ones (`quantizing/`), or a plan (`making/`).
"""
