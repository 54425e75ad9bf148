"""`python -m ronghe.cli`: the `ronghe` command without its script."""

from ronghe.cli import app

app()
