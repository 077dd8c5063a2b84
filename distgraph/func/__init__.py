"""The functional API: a workflow as one function, its steps as tasks whose results are kept.

@task
def shout(text: str) -> str: ...

@entrypoint(checkpointer=InMemorySaver())
def workflow(texts: list[str]) -> list[str]:
    return [future.result() for future in [shout(text) for text in texts]]
"""

from distgraph.func.entrypoint import entrypoint
from distgraph.func.task import task

__all__ = ["entrypoint", "task"]
