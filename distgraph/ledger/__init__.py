"""The ledger: the truth about runs, batches and workers, in Redis or Valkey, and its in-memory twin.

keys       every key
scripts    the Lua of ``lua/``, called by name
runs, batches, fleet   one typed method per script and read
replies    what they take and answer
server, connection, doctor   a private server; clients; what a server's settings promise
"""
