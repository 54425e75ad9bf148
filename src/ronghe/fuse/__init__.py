"""Fusion: one row per organisation and per place, with a trail to the records behind it."""
