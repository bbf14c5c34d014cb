"""`/v1/responses`, with a memory of answers, which conversations go on from.

request → what is asked   tools → what may be called   writer → the events of a stream, or all at once
open_items → what an item sends while it comes   output → the objects that all is made of
stored → responses that are asked for again             free_text → what a custom tool is called with
"""
