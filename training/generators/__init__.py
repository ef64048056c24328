"""What makes views that no camera filmed: our own generators, and programs of others that a person has installed."""
