"""The ledger: the truth about runs, batches and workers, in Redis or Valkey, and its in-memory twin.

keys       every key
scripts    the Lua of ``lua/``, called by name
contract   what every operation promises, whoever keeps it
runs, batches, fleet   one typed method per script; ``reads`` beside them
replies    what they take and answer
lines      lines of checkpoints, as savers read and write them; ``places`` says what they are made of
memory     the twin
server, connection, doctor   a private server; clients; what a server's settings promise
"""
