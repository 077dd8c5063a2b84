"""Celery: the only room that imports it. Hints become messages here, and messages calls of the drivers.

config      every setting, with its reason
envelope    a hint as the bytes that Celery puts on its queue
dispatcher  publishes hints
pool        how the processes of its pool end
site        what one worker process has: registry, slots, ledger
watcher     beats, notices deaths, sweeps: in the parent, or in a companion process
app         makes the Celery application with its three tasks
worker      `distgraph worker`
"""
