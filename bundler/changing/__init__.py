"""Bundles that are there already: other defaults and programs in them, at one stroke.

defaults   what a change makes of a plan        rewriting   how it comes to lie behind the weights, which stay

Refuses to know how a new bundle is made, but for what both have in common (`making/`).
"""
