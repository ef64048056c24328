"""The window: Dear PyGui on the main thread, OpenGL on a thread of its own, the engine on a third.

A package for each panel: ``picture``, ``timeline``, ``training`` (the Train tab), ``rays``, ``distortion``, ``path``,
``export``, ``start``. None imports another: they meet on the desk (:mod:`app.gui.desk`) and on the stage
(:mod:`app.gui.stage`), and share what is in ``widgets``. What lies beside them is of the window as a whole.
"""
