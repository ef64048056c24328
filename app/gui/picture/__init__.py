"""The picture: what is shown, and the mouse in it."""
