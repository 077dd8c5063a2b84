"""Groups of modules that import each other in a circle. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def cycles(imports: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """The circles in "module -> modules it imports", largest first, members and equals by name.

    A circle is a set of at least two modules each of which leads to all others (a strongly connected component).
    Imports of modules that are not keys are ignored.
    """
    forward = {name: sorted(set(targets) & imports.keys()) for name, targets in imports.items()}
    backward: dict[str, list[str]] = {name: [] for name in forward}
    for name, targets in forward.items():
        for target in targets:
            backward[target].append(name)

    # Kosaraju: in reverse order of finishing, whatever leads back to a module belongs to its circle
    order: list[str] = []
    seen: set[str] = set()
    for name in sorted(forward):
        order += _finished(name, forward, seen)
    taken: set[str] = set()
    groups = [_finished(name, backward, taken) for name in reversed(order)]
    circles = [tuple(sorted(group)) for group in groups if len(group) > 1]
    return sorted(circles, key=lambda circle: (-len(circle), circle))


def _finished(start: str, edges: Mapping[str, list[str]], seen: set[str]) -> list[str]:
    """Modules first reached from `start`, each after all that are reached through it; adds them to `seen`."""
    if start in seen:
        return []
    seen.add(start)
    done: list[str] = []
    path = [(start, iter(edges[start]))]
    while path:
        name, targets = path[-1]
        following = next((target for target in targets if target not in seen), None)
        if following is None:
            done.append(name)
            path.pop()
        else:
            seen.add(following)
            path.append((following, iter(edges[following])))
    return done
