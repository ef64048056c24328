"""The only place that calls OpenGL: a context of its own, on the thread that draws."""
