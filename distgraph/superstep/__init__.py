"""One superstep as algebra: pure functions from a checkpoint and its tasks' writes to the next checkpoint and tasks.

    model      the values: Node, Program, Task, Checkpoint
    identity   ids that every process computes alike
    plan       checkpoint -> the tasks it activates
    routing    results of branches, Send and goto -> writes
    apply      checkpoint + writes -> next checkpoint
    resume     answers -> tasks that wait for them
    advance    apply, plan, and the verdict: go on, stop to ask, done, stalled, out of steps
    views      what nodes, streams and snapshots see of a checkpoint
    lifecycle  the states of runs and tasks, as tables

No clock, no randomness, no I/O: ids, times and version numbers are arguments. Every shell (local sync, local async,
cluster) calls these same functions, which is why they agree.
"""
