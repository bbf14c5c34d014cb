"""How a bundle's bytes come to lie: from a plan, complete before anything is written, to a file that is whole.

plan, baked → what goes in, and what the manifest says of it   writing → the order of things   launcher → the head
archive, stored → the aligned, reproducible ZIP, and back      beside → weights in files of their own
content, copying → where bytes come from, and how they go      digests → what they come to    replacing → all or nothing

Refuses to know whose weights and programs these are (`choosing/`, `freeze/`), and why a file is written (`making/`,
`changing/`).
"""
