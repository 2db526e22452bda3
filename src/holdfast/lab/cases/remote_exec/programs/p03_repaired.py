"""The server: lets in who knows the secret, a thread for each, and tells whole answers with status and digest.

``p03… PORT`` (0: any free port), with the secret in ``REMOTE_SECRET``. Its bytes still travel readable for all.
"""

import hashlib
import hmac
import json
import os
import socket
import struct
import subprocess
import sys
import threading

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
SECRET = os.environ.get("REMOTE_SECRET", "").encode()
LONGEST = 1 << 20


def exactly(line, size):
    """``size`` bytes, in as many pieces as they come."""
    parts = []
    while size:
        piece = line.recv(min(size, 65536))
        if not piece:
            raise ConnectionError("the client has gone")
        parts.append(piece)
        size -= len(piece)
    return b"".join(parts)


def answer(wanted):
    """Run a command to its end; both pipes are read at the same time, and the child is waited for."""
    done = subprocess.run(wanted, shell=True, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    digest = hashlib.sha256(done.stdout + done.stderr).hexdigest()
    told = {"out": len(done.stdout), "err": len(done.stderr), "status": done.returncode, "sha256": digest}
    header = json.dumps(told).encode("utf-8")
    return struct.pack("!I", len(header)) + header + done.stdout + done.stderr


def serve(line):
    """One client, until it leaves, however it leaves."""
    with line:
        try:
            nonce = os.urandom(16)
            line.sendall(nonce)
            if not hmac.compare_digest(exactly(line, 32), hmac.digest(SECRET, nonce, "sha256")):
                print("refused", flush=True)
                return
            while True:
                (size,) = struct.unpack("!I", exactly(line, 4))
                if size > LONGEST:
                    print("refused", flush=True)
                    return
                line.sendall(answer(exactly(line, size)))
        except OSError as error:  # reset, broken pipe, gone: the end of this client and of nobody else
            print(error, flush=True)


def main():
    if not SECRET:
        sys.exit("REMOTE_SECRET is empty: then everybody could run everything")
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", PORT))
    door.listen(128)
    print(f"port {door.getsockname()[1]}", flush=True)
    while True:
        line, _ = door.accept()
        threading.Thread(target=serve, args=(line,), daemon=True).start()


if __name__ == "__main__":
    main()
