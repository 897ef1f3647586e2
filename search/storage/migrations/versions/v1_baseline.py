"""The tables of the first databases."""

revision = "1"
down_revision = None


def upgrade() -> None:
    """Do nothing: a database without these tables gets those of the newest version at once."""
