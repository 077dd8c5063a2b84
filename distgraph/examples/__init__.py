"""Sample graphs, small enough to read in a minute each, and one real job.

| module         | graph name     | what it teaches                                                      |
|----------------|----------------|----------------------------------------------------------------------|
| `chain`        | `chain`        | state, nodes, edges: one node after the other                        |
| `map_reduce`   | `map_reduce`   | `Send` fans out over data, reducers merge what comes back             |
| `human_review` | `human_review` | `interrupt` asks a person, `Command(resume=...)` carries the answer   |
| `flaky`        | `flaky`        | nodes that fail: what is tried again, what is not                    |
| `crunch`       | `crunch`       | pure CPU work with a known right answer, for throughput              |
| `sums`         | `sums`         | fan-out, join and loop whose exact sums show any loss or repetition   |
| `census.graph` | `census`       | a census of real source code: the Python standard library            |

Every module has its compiled graph in `graph`, and the function that builds it in `build()`, so that the same graph
can be compiled once more with other options (a checkpointer, for example).
"""
