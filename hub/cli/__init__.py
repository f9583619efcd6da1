"""`gatelight-hub`: the hub's command line.

Exit codes: 0 done; 1 refused or failed, with a sentence on stderr; 2 wrong usage or configuration.
"""

from hub.cli.entry import main

__all__ = ["main"]
