"""Harm on purpose: the protocol under simulated faults, and real workers killed where it hurts most.

What `distgraph chaos` runs. Each command is bounded in count and time, says what it did and with which seed, and ends with
a non-zero exit code where a promise was broken. The simulation needs no server; the others send traffic only where they
are pointed.
"""
