"""What should be, what is, and the steps from one to the other.

`store` holds both (desired and observed) and has one writer; `reconcile` compares them and says what to do
next; `act` does it to an engine, reached through `host`: a process of its own (over `channel`) or one
inside this process.
"""
