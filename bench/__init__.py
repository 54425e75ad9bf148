"""Measured ratios: every stage of the way of the data against a DuckDB program that does the same to the same result."""
