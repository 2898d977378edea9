"""A small registry on this machine, for faults that a real one cannot be made to show."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sciflow.containers import registry
from tests.containers import layering

INDEX, MANIFEST = registry.INDEXES[0], registry.MANIFESTS[0]


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        server, seen = self.server, self.headers.get("Authorization", "")
        server.seen.append((self.path, seen))
        path = self.path.partition("?")[0]
        if path == "/token":
            given = seen in ("", server.login) if server.anonymous else seen == server.login
            return self.send(200, b'{"token": "letter"}') if given else self.send(401, b"{}")
        if server.status:
            return self.send(server.status, b"{}")
        if server.challenge and seen != server.wanted:
            return self.send(401, b"{}", {"WWW-Authenticate": server.challenge})
        path = path.removeprefix("/v2/")
        if "/manifests/" in path and not {INDEX, MANIFEST} <= {
            part.strip() for part in self.headers.get("Accept", "").split(",")
        }:
            return self.send(404, b"{}")
        if server.faults.get(path):
            return server.faults[path].pop(0)(self, server.served[path])
        return self.send(404, b"{}") if path not in server.served else self.send(200, server.served[path])

    def send(self, status, body, headers=()):
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class wants that name

    def log_message(self, *_):
        pass


def cut_off(at):
    """Send `at` bytes of what was promised, and hang up."""

    def answer(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:at])

    return answer


def the_rest(handler, body):
    """Send what `Range` asks for."""
    start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    handler.server.ranges.append(start)
    handler.send(206, body[start:])


def whole(handler, body):
    handler.send(200, body)


def other(data):
    return lambda handler, _: handler.send(200, data)


def status(code):
    return lambda handler, _: handler.send(code, b"{}")


def circle(handler, _):
    handler.send(307, b"", {"Location": handler.path})


def silence(seconds):
    """Promise, and say nothing."""

    def answer(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.flush()
            time.sleep(seconds)

    return answer


def put(server, repository, tag, manifest, blobs):
    """Serve an image under a tag and by digest."""
    server.served[f"{repository}/manifests/{layering.digest(manifest)}"] = manifest
    if tag:
        server.served[f"{repository}/manifests/{tag}"] = manifest
    for digest, data in blobs.items():
        server.served[f"{repository}/blobs/{digest}"] = data


@contextlib.contextmanager
def serving():
    """Serve: `served` maps paths to bodies, `faults` to what happens instead, one each time; a login may be wanted."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.served, server.faults, server.seen, server.ranges = {}, {}, [], []
    server.status, server.challenge, server.wanted, server.anonymous, server.login = 0, "", "", True, ""
    server.name = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
