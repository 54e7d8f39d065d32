"""The sound and subtitles of a video, copied into another one; sound is encoded again where its codec is not taken."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from sdnet_pl.inference.video.formats import sound_encoder, takes_codec

_LAYOUTS = ("mono", "stereo", "5.1", "7.1")
_BITS = 64_000
"""A second and channel, where sound is encoded again."""
_RATE = 48_000


class _Track(NamedTuple):
    source: Any
    target: Any
    copied: bool


class Tracks:
    """The sound and subtitles of a video as streams of an output.

    Args:
        source: the video.
        output: to add the streams to, before its header is written.
        suffix: of its container.
        start: seconds at which the times of ``source`` begin.

    Attributes:
        notes: what was not copied as it is.
    """

    def __init__(self, source: InputContainer, output: OutputContainer, suffix: str, start: Fraction) -> None:
        self._source, self._suffix, self._start = source, suffix, start
        self.notes: list[str] = []
        self._tracks: dict[int, _Track] = {}
        for stream in (*source.streams.audio, *source.streams.subtitles):
            track = self._sound(stream, output) if isinstance(stream, AudioStream) else self._subtitles(stream, output)
            if track:
                language = stream.metadata.get("language")
                track.target.metadata.update({"language": language} if language else {})
                self._tracks[stream.index] = track

    def _copied(self, stream: Stream, output: OutputContainer) -> _Track | None:
        """None where the container does not take the codec."""
        name = _codec(stream)
        if takes_codec(self._suffix, name) and name in output.supported_codecs:
            return _Track(stream, output.add_stream_from_template(stream, opaque=True), True)
        return None

    def _subtitles(self, stream: Stream, output: OutputContainer) -> _Track | None:
        copied = self._copied(stream, output)
        if not copied:
            self.notes.append(f"subtitles left out: {self._suffix} does not take {_codec(stream)}")
        return copied

    def _sound(self, stream: AudioStream, output: OutputContainer) -> _Track | None:
        context = stream.codec_context
        if context is None or not stream.sample_rate:
            self.notes.append("a sound track that FFmpeg cannot decode is left out")
            return None
        if copied := self._copied(stream, output):
            return copied
        codec = sound_encoder(self._suffix)
        rate = _RATE if codec == "libopus" else min(stream.sample_rate, _RATE)
        target = output.add_stream(codec, rate=rate)
        assert isinstance(target, AudioStream)
        target.layout = stream.layout.name if stream.layout.name in _LAYOUTS else "stereo"
        target.bit_rate = _BITS * target.layout.nb_channels
        self.notes.append(f"sound encoded again, {_codec(stream)} as {codec.removeprefix('lib')}")
        return _Track(stream, target, False)

    def packets(self) -> Iterator[Packet]:
        """The packets for the output, of all tracks in the order of time; what is broken is left out."""
        soonest: dict[int, int] = {}
        broken = 0
        for packet in self._source.demux([track.source for track in self._tracks.values()]) if self._tracks else ():
            number = packet.stream.index  # that of the packet itself is lacking in the one that ends a stream
            track = self._tracks[number]
            try:
                found = list(self._copy(packet, track) if track.copied else self._encode(packet, track))
            except av.FFmpegError:
                broken += 1
                continue
            for ready in found:
                if ready.dts is None or ready.dts < soonest.get(number, ready.dts):
                    continue
                soonest[number] = ready.dts + (track.source.type == "audio")  # subtitles may appear together
                yield ready
        if broken:
            self.notes.append(f"{broken} broken packet(s) of sound left out")

    def _copy(self, packet: Packet, track: _Track) -> Iterator[Packet]:
        if packet.dts is None or packet.size == 0:  # what ends a stream
            return
        shift = round(self._start / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts -= shift
        packet.stream = track.target
        yield packet

    def _encode(self, packet: Packet, track: _Track) -> Iterator[Packet]:
        for frame in track.source.decode(packet):
            if frame.pts is not None and frame.time_base:
                frame.pts -= round(self._start / frame.time_base)
            yield from track.target.encode(frame)
        if packet.size == 0:
            yield from track.target.encode(None)


def _codec(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else "an unknown codec"
