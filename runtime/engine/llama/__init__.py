"""llama.cpp, through llama-cpp-python's low-level binding: the only package that calls it.

binding → the library itself and what it logs       loading → weights and adapters, in place
vocabulary → text and tokens                         model → weights, and what they say of themselves
context → the KV pool and its batches                embedder → texts into vectors
mtmd → libmtmd, where it is needed                   projector → pictures and sounds into pieces, and into embeddings
projector_file → its weights, where they lie
sampler → the next token, by chain and grammar       candidates → the whole vocabulary with its logits
batch → what is computed at once                     backend → all of it, as the engine takes it
devices → GPUs, by a pack's library                  layers → what each takes, before it is loaded
gguf → headers, and tensors where they are asked for  control → RoPE and control vectors
drafter → a model that guesses for another
files → C streams, from which llama.cpp loads

Knows how to compute and sample. Refuses to know requests, scheduling and which tokens a sequence holds.
"""
