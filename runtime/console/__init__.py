"""The terminal: one answer, or a conversation; a client of the engine as a dialect is.

once → `-p`                                     begin, chat → a conversation, from its beginning
answering, speed → an answer as it comes        commands, transcript, saving → what can be done with it
models → who answers                            editing, keyboard, standard_input, showing, paths → in
                                                screen, written, markdown, ansi, printable → out
abilities, aside → whether anybody looks        loading, fetching, meter → how far something is
errors → what can go wrong

Refuses to know HTTP.
"""
