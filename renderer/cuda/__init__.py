"""The CUDA engine: kernels of ``shaders/*.cu``, compiled at run time, over torch's tensors.

:mod:`~renderer.cuda.program` names what is compiled, :mod:`~renderer.cuda.launch` starts it, and
:mod:`~renderer.cuda.device`, the only module that imports CuPy, compiles it for a GPU that is there. Everything else
here is the host's side of kernels: it lets torch own all memory, so it runs wherever somebody runs the kernels.
"""
