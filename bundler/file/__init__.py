"""How a bundle's bytes come to lie: from a plan, complete before anything is written, to a file that is whole.

plan, baked → what goes in                     layout → where all of it comes to lie      writing → into the file
manifest, launcher → what the file says        archive, stored → the aligned ZIP, and back
content, copying → bytes, and how they move    digests → what they come to, and should
fresh → a whole new file                       target, replacing → where to, all or nothing
beside → weights in files of their own

Refuses to know whose weights and programs these are (`choosing/`, `freeze/`), and why a file is written (`making/`,
`changing/`).
"""
