"""A client of event streams over http.client, as the standard says (WHATWG HTML §9.2.6): fields, dispatch, last id."""

import json
import socket


class Ended(Exception):
    """The stream has ended."""


class Event:
    def __init__(self, kind, data, last_id):
        self.kind = kind
        self.data = json.loads(data)
        self.id = last_id

    def __repr__(self):
        return f"{self.kind} {self.id} {self.data}"


class EventStream:
    """Reads one stream; `last_id` is what a client would send to resume."""

    def __init__(self, server, path, role="TAIPY_READER", last_id=None, token=None, timeout_s=60):
        self.connection = server.client.connect()
        self.connection.timeout = timeout_s
        headers = {"Accept": "text/event-stream", "Authorization": "Bearer " + (token or server.token(role))}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        self.last_id = last_id
        self.comments = 0
        self.retry = None
        self._ids = last_id
        self._kind, self._data = "", []
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def set_timeout(self, seconds):
        self.connection.sock.settimeout(seconds)

    def _line(self):
        line = self.answer.readline()
        if not line.endswith(b"\n"):
            raise Ended(repr(line))  # an event that is not closed is not dispatched
        return line[:-1].decode()

    def _field(self, line):
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if line.startswith(":"):
            self.comments += 1
        elif name == "id":
            self._ids = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "retry":
            self.retry = int(value)

    def block(self):
        """Up to the next blank line: the event, or None if it was none."""
        while line := self._line():
            self._field(line)
        self.last_id = self._ids
        kind, data = self._kind or "message", "\n".join(self._data)
        self._kind, self._data = "", []
        return Event(kind, data, self.last_id) if data else None

    def next(self):
        while True:
            event = self.block()
            if event:
                return event

    def take(self, count):
        return [self.next() for _ in range(count)]

    def rest(self):
        """All events up to the end."""
        events = []
        try:
            while True:
                events.append(self.next())
        except Ended:
            return events

    def close(self):
        if self.connection.sock is not None:
            try:
                self.connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.answer.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

