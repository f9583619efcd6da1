"""`python -m deploy.sbom`."""

import sys

from deploy.sbom.cli import main

sys.exit(main())
