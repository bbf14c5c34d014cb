"""`--batch`: many requests out of one file, answered as the server answers them, their results into another.

run → from the first line to the last   requests → what a line asks for   results → the file that they go to
reading → lines, read ahead             progress → what a person sees     errors → what can go wrong
answering → who answers                 here → this file's models         elsewhere, servers → those of others
spreading, beginnings → which of those

Refuses to know what is asked for: handlers of the server do.
"""
