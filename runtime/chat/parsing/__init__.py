"""The text of an answer into content, reasoning and tool calls, while it is generated.

Knows formats; refuses to know templates and tokens. `parser.py` is the way in.
"""
