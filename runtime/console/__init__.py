"""The terminal: one answer (`once`), or a conversation; a client of the engine as a dialect is, without HTTP."""
