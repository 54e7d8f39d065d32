"""The table of the presets in ``networks.csv``, for which nobody waits for PyTorch.

``python -m sdnet_pl.reporting.complexity`` measures it on the networks; a test does so too.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from sdnet_pl.errors import InputError, did_you_mean

FILE = Path(__file__).with_name("networks.csv")
NETWORK, TRIMAP = "network", "trimap"


def read_networks(presets: Sequence[str] = ()) -> list[dict[str, str | float]]:
    """The rows of presets, without and with the trimap, as :func:`sdnet_pl.reporting.complexity.measure` gives them.

    Args:
        presets: their names; none: all.

    Raises:
        InputError: there is no such preset.
    """
    with FILE.open(encoding="utf-8", newline="") as stream:
        rows = [
            {key: value if key in (NETWORK, TRIMAP) else float(value) for key, value in row.items()}
            for row in csv.DictReader(stream)
        ]
    known = list(dict.fromkeys(str(row[NETWORK]) for row in rows))
    for name in presets:
        if name not in known:
            meant = did_you_mean(name, known, ".")
            raise InputError(f"There is no preset {name!r}; the presets are {', '.join(known)}{meant}")
    return [row for name in presets or known for row in rows if row[NETWORK] == name]
