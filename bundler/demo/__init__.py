"""The embedded demo models: `demo.gguf`, and in `vision/` one that sees. README.md beside them says how they were made.

Refuses to know how they are trained (`scripts/demo_model/`, `scripts/vision_model/`).
"""
