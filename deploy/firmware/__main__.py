"""`python -m deploy.firmware`."""

import sys

from deploy.firmware.cli import main

sys.exit(main())
