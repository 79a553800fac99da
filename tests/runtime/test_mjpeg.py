"""Motion JPEG: pictures come out of the bytes however these are cut, whole ones and broken ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgemood.runtime.sources.intake import Ended
from edgemood.runtime.sources.mjpeg import MAX_BYTES, Mjpeg, Splitter


def jpeg(level: int, size: tuple[int, int] = (32, 24), progressive: bool = False) -> bytes:
    """A gray JPEG of this level, with a little noise so that its data are not all alike."""
    rng = np.random.default_rng(level)
    noise = rng.integers(-3, 4, (size[1], size[0]))
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)]
    return cv2.imencode(".jpg", (level + noise).astype(np.uint8), options)[1].tobytes()


def with_thumbnail(picture: bytes) -> bytes:
    """The JPEG with another one inside of an APP1 segment, as cameras add them."""
    inside = b"Exif\0\0" + jpeg(1, (8, 8))
    return picture[:2] + b"\xff\xe1" + (len(inside) + 2).to_bytes(2, "big") + inside + picture[2:]


PICTURES = [jpeg(50), with_thumbnail(jpeg(100)), jpeg(150, progressive=True), jpeg(200, (64, 48))]


def multipart(pictures: list[bytes], length: bool = True, end: bytes = b"\r\n") -> bytes:
    parts = []
    for picture in pictures:
        head = b"--line" + end + b"Content-Type: image/jpeg" + end
        if length:
            head += b"Content-Length: %d" % len(picture) + end
        parts.append(head + end + picture + end)
    return b"".join(parts)


STREAMS = {
    "with lengths": (b"line", multipart(PICTURES)),
    "without lengths": (b"line", multipart(PICTURES, length=False)),
    "with bare line feeds": (b"line", multipart(PICTURES, end=b"\n")),
    "with the dashes counted to the boundary": (b"--line", multipart(PICTURES)),
    "after a preamble": (b"line", b"welcome\r\n" + multipart(PICTURES)),
    "one JPEG after the other": (None, b"".join(PICTURES)),
    "with something between them": (None, b"..\xff".join([b"", *PICTURES])),
}


@pytest.mark.parametrize("chunk", [1, 7, 1000, 10**6])
@pytest.mark.parametrize(("boundary", "stream"), STREAMS.values(), ids=STREAMS)
def test_every_picture_comes_out_as_it_was_sent(
    boundary: bytes | None, stream: bytes, chunk: int
) -> None:
    splitter = Splitter(boundary)
    found = []
    for at in range(0, len(stream), chunk):
        found += splitter.feed(stream[at : at + chunk])
    assert [picture.rstrip(b"\r\n") for picture in found] == PICTURES


@pytest.mark.parametrize(
    ("boundary", "stream"),
    [(b"line", multipart(PICTURES[:1], length)) for length in (True, False)]
    + [(None, PICTURES[0])],
    ids=["with lengths", "without lengths", "one JPEG after the other"],
)
def test_a_picture_is_there_with_its_last_byte_not_with_the_next_picture(
    boundary: bytes | None, stream: bytes
) -> None:
    splitter = Splitter(boundary)
    assert len(list(splitter.feed(stream.rstrip(b"\r\n")))) == 1


def levels(boundary: bytes | None, stream: bytes, newest: bool = False) -> tuple[list[int], Mjpeg]:
    """The levels of what can be decoded, in tens."""
    chunks = [stream[at : at + 500] for at in range(0, len(stream), 500)]
    if newest:
        chunks = [stream]

    def read_some() -> bytes:
        if not chunks:
            raise Ended
        return chunks.pop(0)

    reader = Mjpeg(read_some, boundary, newest)
    found = []
    try:
        while True:
            reader.wait()
            shot = reader.decode()
            if shot is not None:
                found.append(round(float(shot[0].mean()) / 10))
    except Ended:
        return found, reader


RNG = np.random.default_rng(0)
BROKEN = {
    "cut in half": PICTURES[0][: len(PICTURES[0]) // 2],
    "noise": RNG.bytes(900),
    "empty": b"",
    "a header that lies about its length": PICTURES[0][:4] + b"\xff\xff" + PICTURES[0][6:],
    "no picture but a page": b"<html>busy</html>",
    "of 60000 x 60000 pixels": jpeg(1).replace(b"\0\x18\0\x20", b"\xea\x60\xea\x60", 1),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("length", [True, False], ids=["with lengths", "without"])
def test_every_third_picture_broken_is_counted_and_the_others_are_there(
    broken: bytes, length: bool
) -> None:
    good = [jpeg(level) for level in range(20, 140, 10)]
    mixed = [picture for i in range(0, 12, 2) for picture in (good[i], good[i + 1], broken)]
    found, reader = levels(b"line", multipart(mixed, length) + b"--line--\r\n")
    assert found == list(range(2, 14))
    assert reader.broken == 6


@pytest.mark.parametrize("broken", [BROKEN["cut in half"], BROKEN["of 60000 x 60000 pixels"]])
def test_without_boundaries_a_broken_picture_costs_none_of_the_others(broken: bytes) -> None:
    found, reader = levels(None, b"".join([jpeg(50), broken, jpeg(60), broken, jpeg(70)]))
    assert found == [5, 6, 7]
    assert reader.broken == 2


def test_a_length_that_lies_costs_its_own_picture_at_most() -> None:
    stream = multipart([jpeg(50), jpeg(60), jpeg(70), jpeg(80)])
    second = stream.index(b"--line", 5)
    lie = stream[second:].replace(b"Content-Length: ", b"Content-Length: 9", 1)
    found, _ = levels(b"line", stream[:second] + lie)
    assert found in ([5, 6, 7, 8], [5, 7, 8])


def test_what_has_piled_up_is_passed_over_and_counted() -> None:
    found, reader = levels(None, b"".join(jpeg(level) for level in (50, 60, 70)), newest=True)
    assert found == [7]
    assert reader.skipped == 2


@pytest.mark.parametrize(
    ("boundary", "start", "broken"),
    [
        pytest.param(b"line", b"", 0, id="of which no part begins"),
        pytest.param(b"line", b"--line\r\n", 1, id="of which a part's head never ends"),
        pytest.param(b"line", b"--line\r\n\r\n", 1, id="of which a part never ends"),
        pytest.param(None, PICTURES[0][:-2], 1, id="of which a JPEG never ends"),
    ],
)
def test_a_stream_without_an_end_takes_no_memory(
    boundary: bytes | None, start: bytes, broken: int
) -> None:
    splitter = Splitter(boundary)
    found = list(splitter.feed(start))
    for _ in range(40):
        found += splitter.feed(bytes(2**20))
        assert len(splitter._buffer) <= MAX_BYTES
    assert found == [b""] * broken
