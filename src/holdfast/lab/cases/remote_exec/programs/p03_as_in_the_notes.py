"""Runs the commands that come, and sends their output back behind a header: ``p03… PORT`` (0: any free port)."""

import json
import socket
import struct
import subprocess
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
door.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
door.bind(("127.0.0.1", PORT))

door.listen(5)
print(f"port {door.getsockname()[1]}", flush=True)
while True:
    line, caller = door.accept()

    while True:
        try:
            wanted = line.recv(1024)
            if len(wanted) == 0:
                break
            print(wanted)
            child = subprocess.Popen(wanted.decode("utf-8"), shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            out = child.stdout.read()  # type: ignore[union-attr]
            err = child.stderr.read()  # type: ignore[union-attr]

            header = {"file": "out.txt", "total_size": len(err) + len(out), "hashlib": "0123456789abcdef"}
            header_text = json.dumps(header)
            header_bytes = header_text.encode("utf-8")

            line.send(struct.pack("i", len(header_text)))
            line.send(header_bytes)
            line.send(err)
            line.send(out)
        except ConnectionResetError as error:
            print(error)
            break

    line.close()
