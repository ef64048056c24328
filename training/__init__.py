"""What exists only while a scene is learned: data, losses, densification, the loop."""
