"""A workflow: one function, whose steps are tasks.

Every call of a task starts at once and returns a future. What finished tasks returned is kept: should the process die, or a
person be asked, the function runs again from its top and gets those results back without running them.

    >>> workflow.invoke(["It rained.", "We stayed at home."])
    {'texts': 2, 'words': 6}
"""

from __future__ import annotations

from distgraph.func import entrypoint, task


@task
def count(text: str) -> int:
    """The words of one text."""
    return len(text.split())


@entrypoint()
def workflow(texts: list[str]) -> dict[str, int]:
    """Count the words of all texts."""
    futures = [count(text) for text in texts]
    return {"texts": len(texts), "words": sum(future.result() for future in futures)}
