"""A photo, and a server in this process."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from sdnet_pl.data import ProceduralBackgrounds, ProceduralPortraits
from sdnet_pl.data.composition import composite_uint8
from sdnet_pl.server.app import create_app
from sdnet_pl.server.service import Settings

SIZE = 128


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    return composite_uint8(ProceduralPortraits(size=SIZE).load(0), ProceduralBackgrounds(size=SIZE).load(0))


@pytest.fixture(scope="session")
def photo(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = create_app(Settings(device="cpu", size=SIZE, threads=2, queue=1, max_megapixels=0.1))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
