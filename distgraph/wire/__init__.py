"""Values to bytes and back: a versioned, checked envelope around a closed set of types.

No pickle, and no import or call that bytes could ask for: the types come from a ``TypeRegistry``, filled from the
graph's own schemas. See ``envelope.py`` for the layout, ``kinds.py`` for the built-in kinds.
"""

from distgraph.wire.codec import MAX_DEPTH, Codec
from distgraph.wire.envelope import MAX_BYTES, open_sealed, seal
from distgraph.wire.registry import TypeRegistry

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Codec", "TypeRegistry", "open_sealed", "seal"]
