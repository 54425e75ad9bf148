"""Ronghe fuses government data about organisations, places, assets and events, with privacy built in."""

__version__ = "0.1.0"
