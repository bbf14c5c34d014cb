"""From settings to engines that run.

loading → who loads when, and what is tried     finding → which weights there are
served → a model with its engine                sharing → memory, context and threads for each
seeing → the projector that a model sees with
warmth → what the build has computed, and whether it fits                warming → computing that, for a build

Knows bundles, settings and the machine. Refuses to know HTTP, the terminal, and where layers compute (`offloading/`).
"""
