"""A census of real source code: one batch item a module of the Python standard library.

Read in this order: `model` (what the state looks like), `graph` (how an item travels), then the pure functions the
nodes call: `corpus` (which files there are), `analyse` (a module), `measure` (a function or class), `score` (what the
measures say), `hotspots` (a search in rounds), `summary` (the result row). `report` turns all result rows into
findings. Nothing is imported or executed: source is read and parsed.
"""
