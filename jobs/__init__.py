"""Jobs: one runnable file for each verb."""
