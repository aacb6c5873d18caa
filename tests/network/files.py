"""A web server of a test: files and a document store, and everything that may go wrong with them.

files.py PORT [CERTIFICATE]: serves all addresses, with TLS if there is a certificate with its key;
prints a line when it is ready.
"""
import http.server
import json
import socketserver
import ssl
import sys
import time
from urllib.parse import parse_qsl, urlsplit

STORE = "/api/efast/v1/file/osdownload/"
PIECE = bytes(1 << 16)
asked = []  # [method, path with query, headers, body] of every request but /asked


class Handler(http.server.BaseHTTPRequestHandler):
    """/NAME gives its own name; others see below."""
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        """One answer of a known size."""
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """What is asked for: /asked, /redirect?to=, /size?n=, /cut, /chunked, ..."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/asked":
            self.answer(200, json.dumps(asked).encode())
            asked.clear()
            return
        asked.append(["GET", self.path, dict(self.headers), ""])
        special = getattr(self, "get_" + parts.path[1:].replace("/", "_"), None)
        if special is not None:
            special(query)
        else:
            self.answer(200, parts.path[1:].encode())

    def get_redirect(self, query):
        """To anywhere."""
        self.answer(int(query.get("status", 302)), Location=query["to"])

    def get_loop(self, _):
        """To itself."""
        self.answer(302, Location="/loop")

    def get_missing(self, _):
        """404 with words."""
        self.answer(404, b"there is no such file")

    def get_size(self, query):
        """n bytes."""
        left = int(query["n"])
        self.send_response(200)
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left > 0:
            self.wfile.write(PIECE[:left])
            left -= min(left, len(PIECE))

    def get_cut(self, _):
        """Says 10 bytes and gives 4."""
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"four")
        self.close_connection = True

    def get_chunked(self, query):
        """Chunks; with cut= without the last one."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n" + (b"" if "cut" in query else b"0\r\n\r\n"))
        self.close_connection = True

    def get_endless(self, _):
        """A byte every 50 ms, for ever."""
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def get_silent(self, _):
        """Nothing, for long."""
        time.sleep(20)

    def do_POST(self):
        """The document store: where=URL in the docid is where the document is said to be."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked.append(["POST", self.path, dict(self.headers), body])
        if self.path != STORE:
            self.answer(404)
            return
        docid = json.loads(body)["docid"]
        if docid.startswith("odd "):
            self.answer(200, docid[4:].encode())
        elif not docid.startswith("where="):
            self.answer(403, b"no access to this document")
        else:
            self.answer(200, json.dumps({
                "authrequest": ["GET", docid[6:], "Authorization: AWS signed", "x-amz-date: today"],
                "name": "name in the store", "rev": "rev1", "size": 7}).encode())

    def log_message(self, *_):
        """Nothing."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Many at once; a client that goes away is no error."""
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        """Nothing."""


def main():
    """Serves until it is killed."""
    server = Server(("0.0.0.0", int(sys.argv[1])), Handler)
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
