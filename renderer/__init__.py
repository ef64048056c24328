"""What a scene is, and every way to turn it into pixels or into the weights along one ray."""

import os

# Threads that wait for each other by spinning starve whatever else runs on a small machine, the window first. OpenMP
# reads this when it is loaded, which is with torch, so it is set before anything of the project imports that.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
