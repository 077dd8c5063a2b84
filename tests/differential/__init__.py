"""The same programs on the peer and on distgraph: results, streams and histories must be the same."""
