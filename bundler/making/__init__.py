"""From what was asked for to a whole bundle.

build → resolve, inspect (quantize), plan, write     options, recipe → what can be asked for, and in which words
planning → what was found and made, as a plan        running → a bundle of nothing but what is said (`loaf run`)

Refuses to know where weights come from (`sources/`), which go in (`choosing/`) and how bytes come to lie (`file/`).
"""
