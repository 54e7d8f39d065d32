"""The page for people, made with Gradio: photos and videos in, cut-outs to look at and to download."""

import os
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

# Read when Gradio is imported, and later: nothing is sent to its makers.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr
from gradio import processing_utils

from sdnet_pl.server.jobs import BACKGROUNDS, MAX_PHOTOS, MAX_VIDEO_SECONDS, Jobs
from sdnet_pl.server.limits import KEPT_SECONDS, MAX_VIDEO_BYTES, UPLOADS
from sdnet_pl.server.service import Service
from sdnet_pl.server.shield import Shield

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
_CSS = """
.gradio-container { width: 100% !important; max-width: 1180px !important; margin: 0 auto !important; }
.checkered video { background: repeating-conic-gradient(#bbb 0 25%, #eee 0 50%) 0 0 / 20px 20px; }
footer { display: none !important; }
"""
_HEAD = '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'


def mount(app: FastAPI, service: Service) -> None:
    """Put the page at ``/``. Visitors' files lie in a folder of this run, which is deleted when the server ends.

    Args:
        app: the server.
        service: cuts out.
    """
    folder = Path(tempfile.mkdtemp(prefix="sdnet_pl-"))  # for this user alone
    uploads = folder / UPLOADS
    uploads.mkdir()
    os.environ.update(GRADIO_TEMP_DIR=str(uploads), GRADIO_EXAMPLES_CACHE=str(uploads))
    processing_utils.hash_seed = os.urandom(32)  # the names of files cannot be computed from what they hold
    delete = weakref.finalize(app, shutil.rmtree, folder, True)  # also where the server ends before it begins
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        try:
            async with inner(app) as state:
                yield state
        finally:
            delete()

    app.router.lifespan_context = lifespan
    jobs = Jobs(service, folder)
    theme = gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=_FONTS, font_mono=["ui-monospace", "monospace"]
    )
    gr.mount_gradio_app(
        app,
        _build(service, jobs),
        "/",
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        ssr_mode=False,
        show_error=False,  # errors that nobody has put into words may name paths
        max_file_size=MAX_VIDEO_BYTES,
        theme=theme,
        css=_CSS,
        head=_HEAD,
    )
    mounted: Any = app.router.routes[-1]
    mounted.app = Shield(mounted.app, folder)


def _build(service: Service, jobs: Jobs) -> gr.Blocks:
    places = service.settings.threads + service.settings.queue
    with gr.Blocks(title="sdnet_pl", analytics_enabled=False, delete_cache=(300, KEPT_SECONDS)) as page:
        gr.Markdown(
            "# Cut people out\nNothing leaves the machine that runs this page. What you upload is deleted within an "
            f"hour or so. Photos may have up to {service.settings.max_megapixels:g} megapixels."
        )
        with gr.Tab("Photo"):
            _photo_tab(jobs)
        with gr.Tab("Several photos"):
            _photos_tab(jobs)
        with gr.Tab("Video"):
            _video_tab(jobs)
        gr.Markdown("For programs: [the API](docs). The weights are for research only.")
    page.queue(max_size=2 * places, default_concurrency_limit=places)
    return page


def _photo_tab(jobs: Jobs) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            photo = _uploaded(
                gr.Image(label="Photo", type="filepath", image_mode=None, sources=["upload", "clipboard"])
            )
            background = _background()
            button = gr.Button("Cut out", variant="primary")
        with gr.Column(scale=3, min_width=300):
            slider = gr.ImageSlider(label="Before and after", interactive=False, buttons=["fullscreen"])
            download = gr.DownloadButton("Download PNG", interactive=False)
            if jobs.shows_sides:
                with gr.Accordion("Side outputs of the network", open=False):
                    gr.Markdown(
                        "The alphas that the network makes on its way, from coarse to fine. This needs PyTorch, "
                        "which takes some seconds at first."
                    )
                    look = gr.Button("Show side outputs")
                    sides = gr.Image(label="Side outputs", interactive=False, buttons=["fullscreen", "download"])
                    look.click(jobs.sides, photo, sides, api_visibility="private")
    button.click(jobs.photo, [photo, *background], [slider, download], api_visibility="private")


def _photos_tab(jobs: Jobs) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            photos = gr.File(
                label=f"Up to {MAX_PHOTOS} photos", file_count="multiple", file_types=["image"], height=220
            )
            background = _background()
            button = gr.Button("Cut out all", variant="primary")
        with gr.Column(scale=3, min_width=300):
            gallery = gr.Gallery(label="Cut-outs", columns=3, interactive=False, buttons=["fullscreen"])
            said = gr.Markdown()
            download = gr.DownloadButton("Download all as ZIP", interactive=False)
    button.click(jobs.photos, [photos, *background], [gallery, said, download], api_visibility="private")


def _video_tab(jobs: Jobs) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            video = gr.Video(label=f"Video of up to {MAX_VIDEO_SECONDS} seconds", sources=["upload"])
            background = _background()
            button = gr.Button("Cut out", variant="primary")
        with gr.Column(scale=3, min_width=300):
            result = gr.Video(label="Cut-out", interactive=False, buttons=[], elem_classes="checkered")
            download = gr.DownloadButton("Download video", interactive=False)
    button.click(jobs.video, [video, *background], [result, download], api_visibility="private")


def _background() -> tuple[gr.Radio, gr.ColorPicker, gr.Image]:
    kind = gr.Radio(list(BACKGROUNDS), value=BACKGROUNDS[0], label="Background")
    color = gr.ColorPicker("#ffffff", label="Colour", visible=False)
    picture = _uploaded(
        gr.Image(label="Background picture", type="filepath", image_mode=None, sources=["upload"], visible=False)
    )

    def show(kind: str) -> tuple[Any, Any]:
        return gr.update(visible=kind == "Colour"), gr.update(visible=kind == "Picture")

    kind.change(show, kind, [color, picture], api_visibility="private", show_progress="hidden")
    return kind, color, picture


def _uploaded(image: Any) -> Any:
    """The file as it was uploaded: Gradio would decode it before its size is known."""
    image.preprocess = lambda payload: None if payload is None else payload.path
    return image
