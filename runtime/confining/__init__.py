"""What a server gives up once its weights are mapped and its ports open: files, programs, connections.

confinement → a plan, and what carries it out           places → what it goes on to need of the file system
landlock → files, and connections of TCP, of a thread   seccomp → calls of the whole process
errors → where it cannot be had

Refuses to know HTTP and models.
"""
