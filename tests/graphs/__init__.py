"""Random graphs by seed: the same on the peer, in one process and on workers that only know their names."""
