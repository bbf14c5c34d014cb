"""The browser page: `source/`, and what is built of it.

Refuses to know who serves it (`server/page.py`) and how it is built (`bundler/freeze/page.py`).
"""
