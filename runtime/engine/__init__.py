"""Runs a model for many clients at once.

engine → the worker thread                        jobs, mailbox → requests' results on their way back
lanes → the two kinds of work                     generating, embedding → their steps
admission, turns → whose request is next          running → those that have a slot
scheduler → what goes into the next batch         showing → pictures between the batches
answering → what is said after one                endings → what ends, and who gives way
guessing, lookup → guesses of what comes next
cache, pool → what each KV sequence holds         shelf, storage → what was moved out of the pool
checkpoints → states to go back to                prefixes → what a request begins from, of all of these
drafting → guesses of a draft model               worth, step_cost → whether they are worth it
beginnings → what two texts have in common        pieces → what stands for pictures among tokens
sequence → one request's state                    wording, text, lines → tokens into text, stop strings
types → what a request and its events are         stats → numbers of all of it
slots → states of sequences, saved and restored   worker → whose turn it is, among several engines
wanted → whether anybody waits for a thread's work thoughts → when enough has been thought
residence, asleep → loaded, or unloaded           uses → whether anybody uses the model
backend → what the engine needs of a model        weights, states → where models and sequences lie
disk → what memory has no room for                unfinished → files that are whole or not there
settings, placement → how and where it computes   facts → what it says of itself
gbnf → grammars, and what they cost               errors → what can go wrong
llama → the only importer of llama_cpp

Refuses to know HTTP and chats.
"""
