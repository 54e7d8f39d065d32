"""The folder that transformers.js reads: an ONNX file, and what it has to know of network and pictures.

Its pipeline ``background-removal`` takes a network of one input and one output of any names, if ``config.json`` names
a type of network that it knows (version 4).
"""

import json
from pathlib import Path

from sdnet_pl.data.files import write_text

MODEL = "onnx/model.onnx"
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
_LANCZOS = 1  # number of the filter, which in Node alone is chosen; its others do not average what they scale down


def write_configs(folder: Path, size: int) -> None:
    """Writes ``config.json`` and ``preprocessor_config.json`` beside ``onnx/model.onnx``.

    Args:
        folder: what holds the ``onnx`` folder.
        size: longer side in pixels of the pictures that the network has learned.
    """
    # Of a modnet only the task is taken. Without a dtype a browser would ask for model_quantized.onnx.
    config = {"model_type": "modnet", "transformers.js_config": {"dtype": "fp32"}}
    preprocessor = {
        "image_processor_type": "ImageFeatureExtractor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"longest_edge": size},
        "resample": _LANCZOS,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": False,
    }
    for name, content in ((CONFIG, config), (PREPROCESSOR, preprocessor)):
        write_text(folder / name, json.dumps(content, indent=2) + "\n")
