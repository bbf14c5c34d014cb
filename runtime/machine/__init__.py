"""The machine and the process: what there is, and what is owed to it.

resources → processors and memory that may be used      processor → its variant, by what it can do
variants → those that there are, by kind of processor
program → its own command, and its environment          desktop → the browser of whoever sits there
busy → how much of the processors others take          gpus → whether there are any
c_library → the one that the file brings, where it is in use
logs → where the log goes                               heap → memory that was freed, given back
unpacked → what bundles have unpacked into a cache folder, and taking it away
lean → importing less than packages would have
supervised → what systemd and containers hand over, and are told

Refuses to know models.
"""
