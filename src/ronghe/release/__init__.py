"""Releases: extracts of the open half as audited data packages, and as tables of a database."""
