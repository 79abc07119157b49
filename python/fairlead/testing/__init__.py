"""For tests, ours and users': origins that behave as told, an engine inside the process, time that jumps.

`origin` is an HTTP server for the far side, `engine` runs a configuration in this process, `clock` is an
event loop whose sleeps take no time. Each is imported by its name: ``fairlead.testing.origin.Origin``.
``python -m fairlead.testing`` is a sample backend that says who it is.
"""
