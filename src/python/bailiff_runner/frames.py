"""Frames on the worker's socket: length (4 bytes, big-endian, of the rest), type "J", a JSON object in UTF-8."""

import json
import os

FRAME_MAX = 1 << 20
_CHUNK = 1 << 16


class BrokenFrame(Exception):
    """The peer does not speak the protocol; the connection is over."""


class Channel:
    """Reads requests from, and writes answers to, a descriptor that the application's processes do not inherit."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._pending = b""
        os.set_inheritable(descriptor, False)

    def close(self):
        os.close(self._descriptor)

    def receive(self):
        """The next object; None at the end of the stream."""
        length = 4
        have = self._pending
        while True:
            if length == 4 and len(have) >= 4:
                length = 4 + int.from_bytes(have[:4], "big")
                if not 4 + 1 <= length <= 4 + FRAME_MAX:
                    raise BrokenFrame("a frame's length is out of bounds")
            if length > 4 and len(have) >= length:
                break
            data = os.read(self._descriptor, _CHUNK)
            if not data:
                if have:
                    raise BrokenFrame("the stream ended inside a frame")
                return None
            have += data
        self._pending = have[length:]
        return _object(have[4:length])

    def send(self, message):
        data = b"J" + json.dumps(message, separators=(",", ":")).encode()
        data = len(data).to_bytes(4, "big") + data
        while data:
            data = data[os.write(self._descriptor, data) :]


def _object(frame):
    if frame[:1] != b"J":
        raise BrokenFrame("a frame has another type than J")
    try:
        message = json.loads(frame[1:].decode())
    except (ValueError, RecursionError):
        raise BrokenFrame("a frame holds no JSON") from None
    if not isinstance(message, dict):
        raise BrokenFrame("a frame holds no JSON object")
    return message
