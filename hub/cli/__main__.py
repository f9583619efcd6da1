"""`python -m hub.cli` is `gatelight-hub`."""

import sys

from hub.cli.entry import main

sys.exit(main())
