"""libFuzzer changes valid files, by way of Atheris, which follows the code: ``python -m tests.fuzz KIND FOLDER``.

FOLDER gets the valid files, and those that reached new code.
"""

import sys
from pathlib import Path

import atheris

if __name__ == "__main__":
    kind, folder, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["sdnet_pl", "PIL"]):
        from tests import hostile

        for name, content in hostile.KINDS[kind][0]().items():
            (Path(folder) / name).write_bytes(content)
            hostile.read(kind, content)  # which imports the rest
    hostile.limit_pixels(setattr)
    # Without these it would begin with the one shortest file, and make it longer slowly.
    options += ["-keep_seed=1", "-len_control=0"]
    atheris.Setup([sys.argv[0], folder, *options], lambda content: hostile.read(kind, content))
    atheris.Fuzz()
