import click

from biostyle.cli.options import all_of


def test_options_are_shown_in_their_order() -> None:
    @click.command()
    @all_of(click.argument("first"), click.option("--second"), click.option("--third"))
    def verb(first: str, second: str | None, third: str | None) -> None:
        """Do nothing."""

    assert [param.name for param in verb.params] == ["first", "second", "third"]
