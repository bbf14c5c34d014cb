"""What is kept between builds, on this machine: made or fetched once, whole or not at all.

cache, unpacking   entries by what they are made of      downloads         files from the network, gone on with
locking            who makes, who uses                   pruning           what nobody has used for long
clearing           all of it, and what bundles have unpacked, listed and taken away

Refuses to know what the entries are for.
"""
