"""The engine's process: hands its thread to the native engine for good. Imports nothing else.

Started by `fairlead.control.host.ProcessHost`; takes its settings as one JSON argument and ends with the
engine's code.
"""

import sys

from fairlead import _engine

if __name__ == "__main__":
    sys.exit(_engine.serve(sys.argv[1]))
