"""Markdown as it is generated, into styled text for a terminal. Knows no terminal: pieces of text in, spans out.

stream → what each line is   inline → what is in it   wrapping → lines of some width   tables → columns
"""
