"""The client: proves that it may, sends commands of any length, reads whole answers and checks them.

``p02… PORT``, with the server's secret in ``REMOTE_SECRET``.
"""

import hashlib
import hmac
import json
import os
import socket
import struct
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
SECRET = os.environ.get("REMOTE_SECRET", "").encode()


def exactly(line, size):
    """``size`` bytes, in as many pieces as they come."""
    parts = []
    while size:
        piece = line.recv(min(size, 65536))
        if not piece:
            raise ConnectionError(f"the server has gone, {size} bytes too early")
        parts.append(piece)
        size -= len(piece)
    return b"".join(parts)


def ask(line, wanted):
    """The answer to one command: its header, its standard output, its standard error."""
    data = wanted.encode("utf-8")
    line.sendall(struct.pack("!I", len(data)) + data)
    (header_size,) = struct.unpack("!I", exactly(line, 4))
    header = json.loads(exactly(line, header_size))
    out, err = exactly(line, header["out"]), exactly(line, header["err"])
    if hashlib.sha256(out + err).hexdigest() != header["sha256"]:
        raise ConnectionError("what came is not what was sent")
    return header, out, err


def main():
    with socket.create_connection(("127.0.0.1", PORT)) as line:
        line.sendall(hmac.digest(SECRET, exactly(line, 16), "sha256"))
        for typed in sys.stdin:
            wanted = typed.strip()
            if wanted:
                header, out, err = ask(line, wanted)
                print(out.decode("utf-8", "backslashreplace"), end="", flush=True)
                print(err.decode("utf-8", "backslashreplace"), end="", file=sys.stderr, flush=True)
                print(f"exit status {header['status']}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except ConnectionError as error:
        sys.exit(f"error: {error}")
