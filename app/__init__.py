"""The window, the command line, and the one thread that touches a model."""

import os

# Threads that wait for each other by spinning starve whatever else runs on a small machine, the window first. OpenMP
# reads this when it is loaded, which is with torch, so it is set before anything of the application is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
