import click


@click.command()
def flower():
    pass
