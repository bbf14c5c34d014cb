"""The program inside a bundle: it serves and chats with the weights it was launched from.

Runs frozen (PyInstaller) from a bundle, and from source as `python -m runtime -m model.gguf`.
"""

__version__ = "0.1.0"
