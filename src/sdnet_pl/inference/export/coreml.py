"""Core ML: an ``.mlpackage`` of one height and width, for Apple's devices; it runs on a Mac alone."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sdnet_pl.inference.export.parity import Export, Loaded, Picture


def write(export: Export, path: Path) -> None:
    """Write ``path``: from an RGB picture to a grey one of 16-bit floats; with a trimap from an array of 4 channels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools as ct

    example = torch.from_numpy(export.pictures[0])
    program = torch.export.export(export.network, (example,)).run_decompositions({})
    _remove_aliases(program)
    if export.network.in_channels == 3:
        picture = ct.ImageType("image", shape=example.shape, scale=1 / 255, color_layout=ct.colorlayout.RGB)
    else:
        picture = ct.TensorType("image", shape=example.shape)
    converted = ct.convert(
        program,
        inputs=[picture],
        outputs=[ct.ImageType("alpha", color_layout=ct.colorlayout.GRAYSCALE_FLOAT16)],
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT16 if export.precision == "fp16" else ct.precision.FLOAT32,
    )
    converted.short_description = "Portrait matting: the opacity of the people in a picture."
    converted.license = export.properties["weights_licence"]
    converted.user_defined_metadata.update(export.properties)
    converted.save(str(path))


def load(path: Path, threads: int | None) -> Loaded | None:
    """The network on a Mac; none elsewhere, where the file is only read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools as ct

        model = ct.models.MLModel(str(path))
        try:
            model.predict({})
        except Exception as error:
            if "macOS" in str(error):
                return None
    description = model.get_spec().description.input[0]
    is_picture = description.type.WhichOneof("Type") == "imageType"

    def run(picture: Picture) -> Picture:
        from PIL import Image

        given: Any = picture
        if is_picture:
            given = Image.fromarray(np.rint(255 * picture[0].transpose(1, 2, 0)).astype(np.uint8))
        return np.asarray(model.predict({"image": given})["alpha"], np.float32)[None, None]

    image = description.type.imageType
    shape = (image.height, image.width) if is_picture else tuple(description.type.multiArrayType.shape[2:])
    return Loaded(run, model.user_defined_metadata["precision"], 3 if is_picture else 4, shape)


def _remove_aliases(program: torch.export.ExportedProgram) -> None:
    """Takes out nodes that name a value again, which Core ML's converter does not know."""
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is torch.ops.aten.alias.default:
            for spec in program.graph_signature.output_specs:
                if spec.arg.name == node.name:
                    spec.arg.name = node.args[0].name
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
