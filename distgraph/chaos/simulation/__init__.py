"""The protocol under simulated faults: the real drivers, sweeps and clients over the ledger's twin, one seed a schedule.

A *schedule* says who submits what, on which workers, and which faults strike when; its seed decides all of it. It is
played to its end in simulated time, and then every invariant that can be seen is checked. What fails once fails again.
"""
