"""What a request asks of the form of an answer, as a grammar that llama.cpp can hold a model to.

json_schema → the way in                          document → the schema, its references and limits
keywords, layers, shapes → what it says           names, formats → of names and strings
objects, arrays, strings, numerals, literals, values → as rules
regex, expressions, charset, automaton, derivatives → patterns, taken apart and combined
lark → Lark's grammars as patterns
gbnf → rules, written                             work, exact, fitting → what it may cost; numbers; what fits
errors → what can go wrong

Knows JSON Schema and GBNF; refuses to know requests, engines and models, and imports nothing but `runtime.errors` and
msgspec.
"""
