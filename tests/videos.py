"""Small real videos for tests: a light box that moves over blue, with a tone."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sdnet_pl.inference.video.jobs import Job
from sdnet_pl.inference.video.pipeline import Options, cut_out_video, render

RATE = Fraction(30000, 1001)
TICK = Fraction(1, 30000)
SAMPLES = 48_000


def picture(number: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """RGB uint8 ``[H, W, 3]``: red where :class:`Red` sees a person."""
    pixels = np.full((height, width, 3), (0, 60, 200), np.uint8)
    pixels[height // 4 : height * 3 // 4, 8 + number : 32 + number] = (255, 180, 150)
    return pixels


def make_video(
    path: Path,
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    times: Sequence[int] | None = None,
    rotation: int = 0,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    sound: str | None = "aac",
    metadata: dict[str, str] | None = None,
    shape: Fraction | None = None,
    transfer: int | None = None,
) -> Path:
    """Write a video; ``times`` are in ticks of 1/30000 s, by default those of 29.97 frames a second."""
    options = {"video_track_timescale": "30000"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as output:
        output.metadata.update(metadata or {})
        stream: Any = output.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = TICK
        if shape:
            stream.codec_context.sample_aspect_ratio = shape
        if transfer:
            stream.codec_context.color_trc = transfer
        if rotation:
            stream.set_display_rotation(rotation)
        tone: Any = output.add_stream(sound, rate=SAMPLES, layout="mono") if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), "rgb24")
            frame.time_base, frame.duration = TICK, 1001
            frame.pts = times[number] if times else 1001 * number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone:
            wave = 0.2 * np.sin(np.arange(int(frames / RATE * SAMPLES)) / 10)
            heard = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
            heard.sample_rate, heard.pts, heard.time_base = SAMPLES, 0, Fraction(1, SAMPLES)
            output.mux(tone.encode(heard))
            output.mux(tone.encode(None))
    return path


class Red:
    """Stands in for a predictor: alpha is the red channel."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.uint8]] = []

    def alpha(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen.append(image)
        return np.asarray(image[..., 0] / 255, np.float32)


def frames_of(path: Path) -> list[av.VideoFrame]:
    """The frames of a video, with alpha where there is one."""
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        if stream.codec_context.name != "vp9":
            return list(video.decode(stream))
        context: Any = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder leaves out the alpha
        return [frame for packet in video.demux(stream) for frame in context.decode(packet)]


def rgba_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """RGBA uint8 ``[H, W, 4]`` of a frame."""
    matrix = 5 if frame.colorspace == 2 else frame.colorspace
    return np.asarray(frame.reformat(format="rgba", src_colorspace=matrix).to_ndarray(), np.uint8)


def sound_of(path: Path) -> list[bytes]:
    """The packets of sound of a video."""
    with av.open(str(path)) as video:
        return [bytes(packet) for packet in video.demux(audio=0) if packet.size]


def add_subtitles(source: Path, target: Path, codec: str, texts: Sequence[bytes]) -> Path:
    """Copy a video, with subtitles that begin every 0.1 s and are shown for 0.3 s."""
    with av.open(str(source)) as original, av.open(str(target), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in original.streams}
        subtitles: Any = output.add_stream(codec) if codec == "ass" else output.add_mux_stream(codec)
        subtitles.metadata["language"] = "eng"
        packets = [packet for packet in original.demux() if packet.size]
        for number, text in enumerate(texts):
            packet = av.Packet(text)
            packet.stream, packet.time_base = subtitles, Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = 100 * number, 100 * number, 300
            packets.append(packet)
        for packet in packets:
            packet.stream = streams.get(packet.stream.index, subtitles) if packet.stream is not subtitles else subtitles
            output.mux(packet)
    return target


def cut(
    source: Path, target: Path, predictor: Any = None, background: str | None = None, **options: Any
) -> tuple[str, ...]:
    """Cut out a video for the job ab12; what there is to say of it, or its error."""
    matting: Any = predictor or Red()
    done = cut_out_video(Job(source, target), "ab12", matting, Options(render(background), **options))
    if done.error:
        raise done.error
    return done.notes
