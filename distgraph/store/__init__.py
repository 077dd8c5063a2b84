"""Long-term memory of graphs: the protocol, and one kind for each place to keep it."""
