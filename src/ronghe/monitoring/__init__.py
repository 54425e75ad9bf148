"""Monitoring: which sources are in and which are late, who is told, and figures for Prometheus."""
