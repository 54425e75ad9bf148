"""Quality: Great Expectations over whole tables, from contracts and `expectations/`."""
