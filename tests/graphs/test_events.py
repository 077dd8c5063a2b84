"""Together the eventful graphs use all there is."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.graphs.events import events
from tests.graphs.plans import plan

pytestmark = pytest.mark.differential


def test_everything_happens_somewhere() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(240):
        happening = events(plan(seed))
        for kind in ("asks", "flaky", "broken", "handled", "before", "after"):
            kinds[kind] += len(getattr(happening, kind))
        kinds.update(happening.nested.values())
    expected = {"asks", "flaky", "broken", "handled", "before", "after", "plain", "breaks"}
    assert [kind for kind in expected if kinds[kind] < 5] == [], kinds
