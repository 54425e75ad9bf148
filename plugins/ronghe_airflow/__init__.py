"""What Ronghe's DAG files share: the one task decorator, defaults, assets."""
