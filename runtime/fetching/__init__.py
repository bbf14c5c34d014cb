"""Weights from the network, where the command line asks for them (`-hf`, `-mu`).

models → what was asked for, as a file on this machine     hub → which files of a repository are meant
downloads → a file, whole and verified                     web → a request, and who may be asked
errors → what can go wrong

Knows the cache folder and HTTP. Refuses to know bundles and llama.cpp, and to ask anybody unless it is told to.
"""
