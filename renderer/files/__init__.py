"""Files that other viewers read, and what they hold."""
