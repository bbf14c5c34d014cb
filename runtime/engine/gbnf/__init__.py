"""Grammars in GBNF, read before llama.cpp reads them: what can be followed, and at what cost."""
