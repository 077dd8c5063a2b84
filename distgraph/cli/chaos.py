"""``distgraph chaos ...``: harm on purpose, and the proof that nothing was lost; one file a command beside this one."""

from __future__ import annotations

import click

from distgraph.cli.chaos_points import points
from distgraph.cli.chaos_power import power
from distgraph.cli.chaos_simulate import simulate
from distgraph.cli.chaos_storm import storm
from distgraph.cli.exits import EPILOG
from distgraph.cli.options import global_options

#: The commands of this group.
COMMANDS: tuple[click.Command, ...] = (simulate, points, power, storm)


@click.group(epilog=EPILOG)
@global_options
def chaos() -> None:
    """Kill, freeze, cut off and roll back, and check that every promise still holds.

    Each command is bounded in count and time, and prints the seed with which it can be repeated.
    """


for _command in COMMANDS:
    chaos.add_command(_command)
