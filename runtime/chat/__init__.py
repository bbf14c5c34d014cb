"""Conversations into prompts. Knows templates and messages; refuses to know tokens, engines and HTTP."""
