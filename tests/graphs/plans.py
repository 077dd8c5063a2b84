"""Plans of random graphs: plain data, deterministic in the seed, that `random_graphs` builds on any API.

A plan grows block by block: lines, forks, uneven forks, choices, fan-outs; what is open at the end of a block leads
into the next one by plain edges, a list join, or a deferred node; loops lead back. Every plan ends:

* a loop goes round only until its node has run `limit` times, counted in the state;
* all other ways lead forward;
* a list join waits only for nodes that are always started together, so that it never waits in vain. Arms of unequal
  length are joined only where no second round can start before the first is through: otherwise the fast arm of one
  round would meet the slow arm of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

START, END = "__start__", "__end__"

#: Channels a node may write besides `tally`, which every node writes.
CHANNELS = ("seen", "total", "latest", "names", "fold")


@dataclass
class Route:
    """Where a node leads, decided by what it sees."""

    kind: Literal["pick", "some", "send", "mixed", "loop"]
    targets: list[str]
    how: Literal["edge", "command", "list"] = "edge"  # conditional edge, Command, or a list of update and Command
    labels: Literal["none", "list", "dict"] = "none"  # of the conditional edge's path_map
    salt: int = 0
    limit: int = 0  # loop: how often the node runs
    back: str = ""  # loop: where it leads back to


@dataclass
class Node:
    """One node and what it writes."""

    name: str
    salt: int
    writes: tuple[str, ...]
    defer: bool = False
    owns_word: bool = False  # the only writer of the last-value channel


@dataclass
class Plan:
    """A whole graph."""

    seed: int
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    joins: list[tuple[list[str], str]] = field(default_factory=list)
    routes: dict[str, Route] = field(default_factory=dict)
    mapped: list[str] = field(default_factory=list)  # nodes that a Send may start


def plan(seed: int, random: Random | None = None) -> Plan:
    """The plan of graph `seed`, or one that `random` draws and that bears that number: 3 to 9 nodes."""
    return _Grower(seed, random or Random(seed)).grow()


class _Grower:
    """The plan so far, and what is open at its end."""

    def __init__(self, seed: int, random: Random) -> None:
        self.random = random
        self.plan = Plan(seed)
        self.budget = self.random.randint(3, 9)
        self.open: list[str] = [START]
        self.together = False  # the open ends always finish, and in one superstep
        self.equal = True  # the open ends finish in one superstep, if at all
        self.overlap = False  # a node may be started again before what it started is through
        self.uneven_join = False
        self.heads: list[str] = []  # where a loop may lead back to

    def grow(self) -> Plan:
        blocks = (self._line, self._fork, self._uneven, self._choice, self._fan_out)
        while self.budget > 0:
            if len(self.open) > 1:
                self._merge()
            elif self.heads and self.random.random() < 0.25:
                self._loop()
            else:
                self.random.choices(blocks, weights=(2, 3, 2, 3, 4))[0]()
        self._finish()
        return self.plan

    # ------------------------------------------------------------ blocks

    def _line(self) -> None:
        head = self._head()
        self._leave([head])

    def _fork(self) -> None:
        """Arms of one node each, started together from whatever is open."""
        arms = self._nodes(self.random.randint(2, 3))
        self._enter(arms)
        self._leave(arms, together=len(arms) > 1)

    def _uneven(self) -> None:
        """Arms of one and of two nodes."""
        if self.budget < 3:
            self._line()
            return
        first, second, long = self._nodes(3)
        self._enter([first, second])
        self._edge(first, long)
        self._leave([second, long], equal=False)

    def _choice(self) -> None:
        head = START if self.open == [START] and self.random.random() < 0.3 else self._head()
        arms = self._nodes(self.random.randint(1, 3))
        self._route(head, Route(self.random.choice(("pick", "some")), arms))
        self._leave(arms)

    def _fan_out(self) -> None:
        """Send: as many tasks as the state says, of one node or two, perhaps with a plain node beside them."""
        head = self._head()
        mapped = self._nodes(self.random.randint(1, 2))
        beside = self._nodes(1) if self.random.random() < 0.25 else []
        self.plan.mapped += mapped
        self._route(head, Route("mixed" if beside else "send", mapped + beside))
        if len(mapped) == 1 and not beside and self.random.random() < 0.25:
            inner = self._nodes(1)  # tasks that fan out themselves
            if inner:
                self.plan.mapped += inner
                self._route(mapped[0], Route("send", inner))
                mapped = inner
        self._leave(mapped + beside)

    def _merge(self) -> None:
        """The open ends lead into one node."""
        ways = ["plain", "plain", "defer"]
        if self.together or (not self.equal and not self.overlap):
            ways += ["join", "join", "deferred join"]
        way = self.random.choice(ways)
        (target,) = self._nodes(1)
        self.plan.nodes[target].defer = way.startswith("defer")
        if way.endswith("join"):
            self.plan.joins.append((list(self.open), target))
            self.uneven_join |= not self.equal
        else:
            self._enter([target])
            # a target of ends that finish one after the other runs once for each
            self.overlap |= not self.equal and way == "plain"
        self._leave([target])
        if self.random.random() < 0.3:
            self.heads.append(target)

    def _loop(self) -> None:
        """Back to an earlier head until this node has run often enough."""
        if self.overlap and self.uneven_join:
            self._line()
            return
        tail = self._head(may_loop=False)
        limit = self.random.randint(2, 3)
        exits = self._nodes(1) or [END]
        back = self.random.choice([*self.heads, tail])
        self._route(tail, Route("loop", exits, limit=limit, back=back))
        self.heads = []  # one loop within another would multiply their rounds
        self._leave([name for name in exits if name != END])
        if not self.open:
            self.budget = 0

    def _finish(self) -> None:
        if self.random.random() < 0.5:
            for name in self.open:
                self._edge(name, END)
        self._shortcut()
        owner = self.random.choice([name for name in self.plan.nodes if name not in self.plan.mapped])
        self.plan.nodes[owner].owns_word = True

    def _shortcut(self) -> None:
        """Perhaps one more way forward, past some nodes: a second start of what lies behind it."""
        if self.uneven_join or self.random.random() < 0.7:
            return
        names = list(self.plan.nodes)
        early = self.random.randrange(len(names))
        joined = {name for sources, _ in self.plan.joins for name in sources}
        later = [name for name in names[early + 1 :] if name not in joined]
        if later and names[early] not in self.plan.routes:
            self._route(names[early], Route(self.random.choice(("pick", "some")), [*later[:2], END]))

    # ------------------------------------------------------------ steps

    def _nodes(self, count: int) -> list[str]:
        """Up to `count` new nodes, as far as the budget reaches."""
        names = []
        for _ in range(min(count, self.budget)):
            # names in random order: writes are applied by name, not by declaration
            name = f"{self.random.choice('abcxyz')}{len(self.plan.nodes)}"
            writes = tuple(channel for channel in CHANNELS if self.random.random() < 0.6)
            self.plan.nodes[name] = Node(name, self.random.randrange(1000), writes)
            self.budget -= 1
            names.append(name)
        return names

    def _head(self, *, may_loop: bool = True) -> str:
        """The node a block begins with: a new one, or the open one where the budget is spent."""
        names = self._nodes(1)
        self._enter(names)
        if may_loop:
            self.heads += names
        return names[0]

    def _enter(self, targets: list[str]) -> None:
        """Edges from all that is open to all `targets`; now and then by Command."""
        for name in self.open:
            if name != START and name not in self.plan.routes and self.random.random() < 0.2:
                self.plan.routes[name] = Route("some", list(targets), how="command", salt=-1)
            else:
                for target in targets:
                    self._edge(name, target)

    def _leave(self, ends: list[str], *, together: bool = False, equal: bool = True) -> None:
        self.open, self.together, self.equal = ends, together, equal

    def _edge(self, source: str, target: str) -> None:
        self.plan.edges.append((source, target))

    def _route(self, source: str, route: Route) -> None:
        if not route.targets:  # the budget is spent
            route.kind, route.targets = "pick", [END]
        if source != START:
            route.how = self.random.choice(("edge", "edge", "command", "list"))
        route.labels = self.random.choice(("none", "list", "dict"))
        route.salt = self.random.randrange(1000)
        self.plan.routes[source] = route
