"""Composite risk indices: measured on the lake, brought to one scale, aggregated, ranked, and their ranks tried."""
