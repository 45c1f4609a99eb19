"""As much of the hub's HTTP interface as creating and filling a data set takes; it keeps what it was sent."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """``files`` of the one data set, None before it is there; ``token`` is the one that may write."""

    token: str = "right"
    private: bool | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    port: int = 0

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        self.calls.append(f"{method} {path}")
        if authorization != f"Bearer {self.token}":
            return 401, {"error": "Invalid credentials"}
        if path == "/api/repos/create":
            if self.private is not None:
                return 409, {"error": "there already", "url": f"http://127.0.0.1:{self.port}/datasets/me/set"}
            asked = json.loads(body)  # "private" until version 2 of the client
            self.private = asked.get("visibility") == "private" or bool(asked.get("private"))
            return 200, {"url": f"http://127.0.0.1:{self.port}/datasets/me/set"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if "/preupload/" in path:
            return 200, {
                "files": [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                    for one in json.loads(body)["files"]
                ]
            }
        if "/commit/" in path:
            self._commit(body)
            return 200, {
                "commitUrl": f"http://127.0.0.1:{self.port}/datasets/me/set/commit/{'1' * 40}",
                "commitOid": "1" * 40,
                "hookOutput": "",
            }
        if "/tree/" in path:
            return 200, [
                {"type": "file", "path": name, "size": len(data), "oid": "0"} for name, data in self.files.items()
            ]
        siblings = [{"rfilename": name} for name in self.files]
        return 200, {"_id": "0", "id": "me/set", "private": self.private, "siblings": siblings, "sha": "1" * 40}

    def _commit(self, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del self.files[line["value"]["path"]]


def serve(hub: Hub) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, value = hub.answer(
                self.command, self.path.partition("?")[0], self.headers.get("Authorization", ""), body
            )
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_HEAD = _handle

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
