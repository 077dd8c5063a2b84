"""Every point has a scenario that passes it: a script that is added without one fails here."""

from __future__ import annotations

from distgraph.chaos.fault import points
from distgraph.chaos.scenarios import WAYS
from distgraph.chaos.submitter import GRAPHS


def test_every_point_has_a_way() -> None:
    missing = sorted(set(points()) - set(WAYS))
    assert missing == [], "add a line to WAYS in distgraph/chaos/scenarios.py: which scenario passes it, in which role"


def test_every_way_leads_to_a_point() -> None:
    assert sorted(set(WAYS) - set(points())) == []


def test_a_scenario_says_what_it_does() -> None:
    scenarios = {way.scenario for ways in WAYS.values() for way in ways}
    assert [scenario.__name__ for scenario in scenarios if not scenario.__doc__] == []


def test_graphs_are_known_by_their_names() -> None:
    assert all(graph.name == name for name, graph in GRAPHS.items())
