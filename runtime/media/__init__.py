"""Pictures as clients send them: taken in, found, decoded.

given → what a request brought, and the marks that stand for it in texts      finding → its bytes, wherever they are
decoding → bytes into pixels, within bounds                                    errors → what can go wrong
downloading → from the public internet, where that is allowed

Knows files of pictures. Refuses to know what a model makes of them (`engine/llama/projector.py`), where in a prompt
they are (`chat/`) and in which form a dialect has them (`server/`). Pillow is imported when the first is decoded.
"""
