"""`/v1/responses`, without memory: each request brings the whole conversation.

request → what is asked   tools → what may be called   writer → the events of a stream, or all at once
open_items → what an item sends while it comes   output → the objects that all is made of
free_text → what a custom tool is called with
"""
