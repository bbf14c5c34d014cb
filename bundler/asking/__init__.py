"""What a build asks of the frozen program itself, since only that knows: whether it understands, and what it computes.

program   unpacked once, and its environment        rehearsal   what is to be baked in, put to it
warming   the state of a text, computed by it

Refuses to know how the program was made (`freeze/`).
"""
