"""The machine and the process: what there is, and what is owed to it.

resources → processors and memory that may be used      processor → its variant, by what it can do
program → the program's own command                     desktop → the browser of whoever sits there
logs → where the log goes                               lean → packages of which only a part is imported

Refuses to know models.
"""
