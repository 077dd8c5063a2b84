import click


@click.command()
def up():
    pass
