"""Pictures and sounds as clients send them: taken in, found, decoded.

given → what a request brought, and the marks that stand for it in texts      finding → its bytes, wherever they are
kinds → which of the two they are                                              errors → what can go wrong
decoding → bytes of a picture into pixels, within bounds
sounds → bytes of a sound into samples, within bounds; sndfile has the decoder, resampling the model's rate
downloading → from the public internet, where that is allowed

Knows files of pictures and sounds. Refuses to know what a model makes of them (`engine/llama/projector.py`), where in a
prompt they are (`chat/`) and in which form a dialect has them (`server/`). Pillow and libsndfile are loaded when the
first is decoded.
"""
