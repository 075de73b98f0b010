"""A server on the loopback address that sends files well or badly, and a catalogue of what it has."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml


@dataclass
class Flaw:
    """What goes wrong with a file.

    Attributes:
        times: requests that it goes wrong with; all when None.
        status: answered in place of the file.
        stop_after: bytes of a request after which the connection is dropped.
        ranges: whether parts can be asked for.
        pause: seconds between two kilobytes.
        moved_to: path that requests are sent on to.
    """

    times: int | None = None
    status: int | None = None
    stop_after: int | None = None
    ranges: bool = True
    pause: float = 0.0
    moved_to: str | None = None


@dataclass
class Server:
    """Files by path, what goes wrong with them, and what was asked for and sent."""

    files: dict[str, bytes] = field(default_factory=dict)
    flaws: dict[str, Flaw] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    address: str = ""

    def __enter__(self) -> Server:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}/"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def ranges(self, path: str) -> list[str | None]:
        """Returns the ranges that were asked for of a file, one a request."""
        return [span for asked, span in self.asked if asked == path]

    def entry(self, *paths: str, checksum: str | None = "sha256", sized: bool = True, **values: Any) -> dict[str, Any]:
        """Returns the entry of a catalogue with some of the files, as they are now."""
        files = []
        for path in paths:
            own: dict[str, Any] = {"path": path, "url": path}
            if sized:
                own["size"] = len(self.files[path])
            if checksum:
                own["checksum"] = f"{checksum}:{hashlib.new(checksum, self.files[path]).hexdigest()}"
            files.append(own)
        told = {"title": "A set", "about": "something", "licence": "CC0", "citation": "Nobody 2020", "folder": "a_set",
                "source": "https://example.org", "checksums": "the server's", "use": {}}  # fmt: skip
        return {**told, "base": self.address, "files": files, **values}


def write_catalogue(path: Path, **entries: dict[str, Any]) -> Path:
    """Writes a catalogue; an underscore in the name of an entry becomes a hyphen."""
    path.write_text(yaml.safe_dump({name.replace("_", "-"): entry for name, entry in entries.items()}))
    return path


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, server: Server, *arguments: Any):
        self.own = server
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path, span = self.path.lstrip("/"), self.headers.get("Range")
        self.own.asked.append((path, span))
        flaw = self.own.flaws.get(path, Flaw())
        if flaw.times is not None:
            if flaw.times == 0:
                flaw = Flaw()
            else:
                flaw.times -= 1
        if flaw.moved_to is not None:
            self.send_response(302)
            self.send_header("Location", f"/{flaw.moved_to}")
            self.end_headers()
            return
        content = self.own.files.get(path)
        if flaw.status is not None or content is None:
            self.send_error(flaw.status or 404)
            return
        begin = int(span.removeprefix("bytes=").rstrip("-")) if span and flaw.ranges else 0
        if begin >= len(content) and begin:
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        end = len(content) if flaw.stop_after is None else min(len(content), begin + flaw.stop_after)
        try:
            for first in range(begin, end, 1024):
                piece = content[first : min(end, first + 1024)]
                # Counted first, since whoever has the last piece may look before this thread goes on.
                self.own.sent[path] += len(piece)
                self.wfile.write(piece)
                time.sleep(flaw.pause)
        except OSError:  # the client is gone
            return

    def log_message(self, *_: Any) -> None:
        """Says nothing."""
