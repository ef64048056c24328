"""A radiance field: a scene as density and colour at every point and instant, of what stands still and what moves."""
