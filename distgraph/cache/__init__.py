"""Caches of node results: the protocol, and one kind for each place to keep them."""
