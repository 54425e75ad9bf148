"""The `ronghe` command."""

from ronghe.cli.main import app

__all__ = ["app"]
