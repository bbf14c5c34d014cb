"""What a model keeps in memory of its text, told before it is loaded: for what is built, and for what is launched.

layers → what each layer keeps, by what a GGUF says      sizes → how many bytes that is, and for how many requests

Refuses to know how a GGUF is read, and what memory there is.
"""
