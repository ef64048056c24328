"""The window: Dear PyGui on the main thread, OpenGL on a thread of its own, the engine on a third."""
