"""The embedded demo model: `demo.gguf`. README.md beside it says what it is and how it was made.

Refuses to know how it is trained (`scripts/demo_model/`).
"""
