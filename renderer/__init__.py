"""What a scene is, and every way to turn it into pixels or into the weights along one ray."""
