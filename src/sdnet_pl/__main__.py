"""``python -m sdnet_pl``."""

import sys

from sdnet_pl.cli import main

if __name__ == "__main__":
    sys.exit(main())
