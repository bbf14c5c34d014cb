"""From settings to engines that run.

loading → which weights, who loads when     warmth → what the build has computed, and whether it fits
warming → computing that, for a build

Knows bundles, settings and the machine. Refuses to know HTTP, the terminal, and where layers compute (`offloading/`).
"""
