"""Fetches one file for a session: the program of a run that has a network and nothing else.

The job is JSON on stdin: {"url", "headers" {name: value}, "hosts" [patterns], "networks" [CIDR that
may be private], "max_bytes", "seconds"} or, instead of "url", "efast" {"url", "token", "docid",
"savename", "rev"}: a document of an AISHU store, whose place is asked for first.

Written to stdout: one line of JSON {"status", "size" or null, of a document "document" {"name",
"rev"}}, then pieces of the body, each behind its length (4 bytes, big-endian), a length of 0, and
one line of JSON: {"error": null or text}.  When no body comes, the first line is {"error": text,
"status" or null}.  What is in the network is hostile: hosts and
addresses are checked here, on every redirect anew, for the sake of clear words; that nothing private
is ever reached is the packet filter's doing, outside this sandbox.
"""
import http.client
import ipaddress
import json
import socket
import ssl
import sys
import time
from urllib.parse import urljoin, urlsplit

PIECE = 256 << 10
REDIRECTS_MAX = 5
ANSWER_MAX = 64 << 10  # bytes of what a document store says
TOLD_MAX = 500  # characters of an error: its line stays within what the server reads
CONNECT_SECONDS = 10
EFAST_PATH = "/api/efast/v1/file/osdownload/"
UNWANTED = {"host", "content-length", "transfer-encoding", "connection", "expect", "accept-encoding"}


class FetchError(Exception):
    """Why there is no file, in words for the client; and the status of the answer, if there was one."""

    def __init__(self, text, status=None):
        super().__init__(text)
        self.status = status


def host_is_allowed(host, patterns):
    """Whether a name fits "example.com", "*.example.com" (its subdomains) or "*"."""
    host = host.lower().rstrip(".")
    for pattern in patterns:
        pattern = pattern.strip().lower().rstrip(".")
        if pattern == "*" or host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:])):
            return True
    return False


def address_is_allowed(address, networks):
    """Whether an address is public, or in one of the networks that may be private."""
    ip = ipaddress.ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if any(ip in network for network in networks if network.version == ip.version):
        return True
    return ip.is_global and not ip.is_multicast


def resolve(host, port, job):
    """The addresses of a host, when every one of them may be reached.

    The connection then goes to one of these, so that a second answer of the name server changes
    nothing.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError("%s cannot be resolved: %s" % (host, error)) from None
    addresses = [one[4][0].partition("%")[0] for one in found]
    networks = [ipaddress.ip_network(text, strict=False) for text in job["networks"]]
    for address in addresses:
        if not address_is_allowed(address, networks):
            raise FetchError("%s has the address %s, which is private or reserved" % (host, address))
    return list(dict.fromkeys(addresses))


def dial(addresses, port, deadline):
    """A connected socket to the first of these that answers."""
    for last, address in enumerate(addresses, 1 - len(addresses)):
        left = max(0.1, min(CONNECT_SECONDS, deadline - time.monotonic()))
        try:
            return socket.create_connection((address, port), left)
        except OSError:
            if last == 0:
                raise


def connect(parts, job, deadline):
    """An open connection to the host of a URL."""
    secure = parts.scheme == "https"
    host, port = parts.hostname, parts.port or (443 if secure else 80)
    if not host_is_allowed(host, job["hosts"]):
        raise FetchError("the host %s is not among those that may be fetched from (FETCH_HOSTS)" % host)
    addresses = resolve(host, port, job)
    left = max(0.1, min(CONNECT_SECONDS, deadline - time.monotonic()))
    if secure:
        made = http.client.HTTPSConnection(host, port, timeout=left, context=ssl.create_default_context())
    else:
        made = http.client.HTTPConnection(host, port, timeout=left)
    made._create_connection = lambda *_: dial(addresses, port, deadline)
    made.connect()
    made.sock.settimeout(max(0.1, deadline - time.monotonic()))
    return made


def check_url(url):
    """The parts of a URL that can be asked for."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("the URL is wrong: %s" % error) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise FetchError("only http:// and https:// URLs without a user name can be fetched")
    if port == 0 or any(ord(c) < 33 or ord(c) == 127 for c in url):
        raise FetchError("the URL has characters that do not belong there")
    return parts


def ask(method, url, headers, job, deadline, body=None):
    """The answer to one request: (connection, http.client.HTTPResponse)."""
    parts = check_url(url)
    made = connect(parts, job, deadline)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    target = "".join(c if c.isascii() else "".join("%%%02X" % b for b in c.encode()) for c in target)
    try:
        made.request(method, target, body,
                     {"User-Agent": "dunlin", "Accept-Encoding": "identity", **headers})
    except ValueError:  # its words would show the header, which may be a secret
        raise FetchError("a header cannot be sent: its name or value is not allowed") from None
    return made, made.getresponse()


def usable_headers(headers):
    """Those that a client may set."""
    return {name: value for name, value in headers.items() if name.lower() not in UNWANTED}


def open_url(url, headers, job, deadline):
    """The answer to a GET, redirects followed.

    What the client set itself may be secret, whatever it is called, and does not go to another origin.
    """
    headers = usable_headers(headers)
    for _ in range(REDIRECTS_MAX + 1):
        _, answer = ask("GET", url, headers, job, deadline)
        if answer.status not in (301, 302, 303, 307, 308):
            return answer
        there = urljoin(url, answer.getheader("Location") or "")
        old, new = urlsplit(url), check_url(there)
        if old.scheme == "https" and new.scheme == "http":
            raise FetchError("%s redirects from https to http" % old.hostname)
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            headers = {}
        url = there
    raise FetchError("more than %d redirects" % REDIRECTS_MAX)


def open_document(job, deadline):
    """A document: the answer from where its store says it is, and what the store says of it."""
    wanted = job["efast"]
    headers = {"Content-Type": "application/json"}
    if wanted.get("token"):
        headers["Authorization"] = "Bearer " + wanted["token"]
    body = json.dumps({name: wanted.get(name, "") for name in ("docid", "savename", "rev")})
    _, answer = ask("POST", wanted["url"].rstrip("/") + EFAST_PATH, headers, job, deadline, body)
    text = answer.read(ANSWER_MAX)
    if answer.status != 200:
        raise FetchError("the document store answers %d: %s" % (answer.status, words(text)),
                         answer.status)
    try:
        facts = json.loads(text)
        request = facts["authrequest"]
        method, url, lines = request[0], request[1], request[2:]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise FetchError("the document store gives no authrequest") from None
    if len(request) < 4 or method.upper() != "GET" or not all(isinstance(x, str) for x in request):
        raise FetchError("the document store gives an authrequest that cannot be used")
    given = dict(line.split(": ", 1) for line in lines if ": " in line)
    about = {key: str(facts.get(key) or "")[:200] for key in ("name", "rev")}
    return open_url(url, given, job, deadline), about


def words(text):
    """A piece of an error answer."""
    return " ".join(text[:200].decode("utf-8", "replace").split())


def say(out, **fields):
    """Writes one line of JSON."""
    out.write(json.dumps(fields).encode() + b"\n")
    out.flush()


def pass_on(answer, job, deadline, out):
    """Writes the pieces; returns an error or None."""
    total = 0
    while True:
        if time.monotonic() > deadline:
            return "not complete after %g s" % job["seconds"]
        piece = answer.read1(PIECE)
        if not piece:
            break
        total += len(piece)
        if total > job["max_bytes"]:
            return "larger than %d bytes (FETCH_MAX_SIZE)" % job["max_bytes"]
        out.write(len(piece).to_bytes(4, "big") + piece)
    if answer.length:
        return "cut off after %d bytes" % total
    return None


def fetch(job, out):
    """Does the job."""
    deadline = time.monotonic() + job["seconds"]
    about = {}
    if job.get("efast"):
        answer, about["document"] = open_document(job, deadline)
    else:
        answer = open_url(job["url"], job.get("headers") or {}, job, deadline)
    if answer.status != 200:
        raise FetchError("%d %s: %s" % (answer.status, answer.reason, words(answer.read(ANSWER_MAX))),
                         answer.status)
    if (answer.length or 0) > job["max_bytes"]:
        raise FetchError("larger than %d bytes (FETCH_MAX_SIZE)" % job["max_bytes"], answer.status)
    say(out, status=answer.status, size=answer.length, **about)
    try:
        error = pass_on(answer, job, deadline, out)
    except (OSError, http.client.HTTPException) as problem:
        error = told(problem)
    out.write(bytes(4))
    say(out, error=error and error[:TOLD_MAX])


def told(problem):
    """An error of the network in words."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return "the certificate is not valid: %s" % problem.verify_message
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, http.client.IncompleteRead):
        return "cut off"
    return str(problem) or type(problem).__name__


def main():
    """Reads the job, writes the file or why there is none."""
    out = sys.stdout.buffer
    try:
        fetch(json.load(sys.stdin), out)
    except FetchError as problem:
        say(out, error=str(problem)[:TOLD_MAX], status=problem.status)
    except (OSError, http.client.HTTPException, UnicodeError, ValueError) as problem:
        say(out, error=told(problem)[:TOLD_MAX])


if __name__ == "__main__":
    main()
