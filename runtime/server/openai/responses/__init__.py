"""`/v1/responses`, without memory: each request brings the whole conversation.

request → what is asked   items → the conversation in it   writer → the events of a stream, or all at once
open_items → what an item sends while it comes   output → the objects that all is made of
"""
