"""Clips with cameras, from disk or from the procedural scene, in one convention."""
