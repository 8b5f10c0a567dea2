"""A small HTTPS client over http.client: one kept-alive connection a thread."""

import http.client
import json
import ssl
import threading


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Client:
    def __init__(self, port, ca_file, timeout_s=120):
        self.port = port
        self.timeout_s = timeout_s
        self.context = ssl.create_default_context(cafile=ca_file)
        self._own = threading.local()

    def connect(self):
        """A connection of the caller's own. By number: a bare machine may not know localhost."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=self.timeout_s, context=self.context)

    def request(self, method, path, token=None, headers=None, body=None, json_body=None):
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self.connect()
        try:
            return send(connection, method, path, token, headers, body, json_body)
        except BaseException:
            self.close()
            raise

    def close(self):
        """Closes this thread's connection."""
        connection = getattr(self._own, "connection", None)
        self._own.connection = None
        if connection is not None:
            connection.close()


def send(connection, method, path, token=None, headers=None, body=None, json_body=None):
    """headers: a map, or a list of pairs where a name may stand twice."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    if token is not None:
        pairs.append(("Authorization", "Bearer " + token))
    if json_body is not None:
        body = json.dumps(json_body).encode()
        pairs.append(("Content-Type", "application/json"))
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in pairs:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    elif method in ("POST", "PUT"):
        connection.putheader("Content-Length", "0")
    connection.endheaders(body)
    answer = connection.getresponse()
    return Response(answer.status, answer.headers, answer.read())
