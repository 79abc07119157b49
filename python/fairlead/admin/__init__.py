"""The HTTP API of a running Fairlead, on ``control.sock``.

The engine owns the addresses that clients connect to; it answers health and metrics itself and relays the
rest to here, saying in `access.VIA` where a request came in. This package reads snapshots and submits
intents; it never edits state.
"""
