"""A picture file's bytes -> its pixels, or the reason why not; nothing is decoded unmeasured."""

from __future__ import annotations

import re
import zlib

import cv2
import numpy as np

# Larger ones are refused: 8K is 33 million, a phone's 50, and each takes 3 bytes decoded and as
# many again on the way. A 12-kB PNG may hold a hundred million.
MAX_PIXELS = 64_000_000


class Undecodable(Exception):
    """Says what is wrong with a picture, to follow its name, and what to do."""

    def __init__(self, found: str, remedy: str = "Copy it again") -> None:
        super().__init__(found)
        self.remedy = remedy


def decode(data: bytes) -> np.ndarray:
    """BGR uint8 [H, W, 3] of a PNG, JPEG, BMP, WebP, TIFF or PNM, turned as its EXIF says.

    Raises Undecodable, for more than MAX_PIXELS pixels before any is decoded.
    """
    size = picture_size(data)
    if size is None:
        raise Undecodable("cannot be decoded as a picture")
    if size[0] * size[1] > MAX_PIXELS:
        raise Undecodable(
            f"has {size[0]}x{size[1]} pixels, no more than {MAX_PIXELS // 10**6} million are read",
            "Make it smaller",
        )
    if not _is_whole(data):
        raise Undecodable("cannot be decoded as a picture, it is cut off or damaged")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise Undecodable("cannot be decoded as a picture")
    return image


def picture_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) as the header declares them; None where there is no header we know."""
    if data.startswith(b"\xff\xd8"):
        return jpeg_header(data)[0]
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return _number(data, 16, 4, "big"), _number(data, 20, 4, "big")
    if data.startswith(b"BM") and len(data) >= 26:
        if _number(data, 14, 4) == 12:  # OS/2's header, with 16-bit numbers
            return _number(data, 18, 2), _number(data, 20, 2)
        height = int.from_bytes(data[22:26], "little", signed=True)  # negative: from the top
        return _number(data, 18, 4), abs(height)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        kind = data[12:16]
        if kind == b"VP8X":
            return _number(data, 24, 3) + 1, _number(data, 27, 3) + 1
        if kind == b"VP8L":
            bits = _number(data, 21, 4)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return _number(data, 26, 2) & 0x3FFF, _number(data, 28, 2) & 0x3FFF
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff_size(data)
    pnm = re.match(rb"P[1-6](?:\s|#.*\n)+(\d{1,9})(?:\s|#.*\n)+(\d{1,9})\s", data[:4096])
    return (int(pnm[1]), int(pnm[2])) if pnm else None


def _number(data: bytes, at: int, length: int, order: str = "little") -> int:
    return int.from_bytes(data[at : at + length], "big" if order == "big" else "little")


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    """From tags 256 and 257 of the first directory (TIFF 6.0, section 2)."""
    order = "little" if data.startswith(b"II") else "big"
    at = _number(data, 4, 4, order)
    sides: dict[int, int] = {}
    for entry in range(at + 2, at + 2 + 12 * _number(data, at, 2, order), 12):
        tag, kind = _number(data, entry, 2, order), _number(data, entry + 2, 2, order)
        if tag in (256, 257) and kind in (3, 4):
            sides[tag] = _number(data, entry + 8, 2 if kind == 3 else 4, order)
    return (sides[256], sides[257]) if len(sides) == 2 else None


# Start of frame: C0 to CF but for C4, C8 and CC, which are other things (ITU T.81, table B.1).
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA


def jpeg_header(data: bytes | bytearray, at: int = 0) -> tuple[tuple[int, int] | None, int | None]:
    """Walk a JPEG's segments from its first byte on: (its size, where the first scan's data begin).

    None for what has not come yet, -1 for the second where the segments are no JPEG's. Thumbnails,
    JPEGs inside of segments, are stepped over.
    """
    size = None
    at += 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF:
            return size, -1
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in (0x01, 0xD8, 0xD9) or 0xD0 <= marker <= 0xD7:  # these have no length
            return size, -1
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES and at + 9 <= len(data):
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            size = int.from_bytes(data[at + 7 : at + 9], "big"), height
        at += 2 + length
        if marker == _SCAN:
            return size, at if at <= len(data) else None
    return size, None


def _is_whole(data: bytes) -> bool:
    """False for a JPEG without an end or a PNG with a damaged chunk.

    OpenCV before 5 decodes half a JPEG without a word, and libpng prints words of its own.
    """
    if data.startswith(b"\xff\xd8"):
        scan = jpeg_header(data)[1]
        # A scan's data hold no marker but the last; after it a camera may append what it likes.
        return scan is not None and data.rfind(b"\xff\xd9") >= scan >= 0
    if data.startswith(b"\x89PNG"):
        at = 8
        while at + 12 <= len(data):
            length = _number(data, at, 4, "big")
            end = at + 8 + length
            if zlib.crc32(data[at + 4 : end]) != _number(data, end, 4, "big"):
                return False
            if data[at + 4 : at + 8] == b"IEND":
                return True
            at = end + 4
        return False
    return True
