"""The state of a text that prompts begin with: computed when a bundle is built, gone on from when it is launched."""
