"""The start panel, and the card that opens a scene."""
