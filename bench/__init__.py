"""Measured ratios: every stage of the way of the data against a DuckDB program that comes to the same result."""
