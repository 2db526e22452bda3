"""Sends the commands that are typed to a server, and prints what comes back: ``p02… PORT``."""

import json
import struct
import sys
from socket import AF_INET, SOCK_STREAM, socket

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

line = socket(AF_INET, SOCK_STREAM)
line.connect(("127.0.0.1", PORT))

while True:
    wanted = input(">>>>").strip()
    if not wanted:
        continue
    line.send(wanted.encode("utf-8"))

    header_size = struct.unpack("i", line.recv(4))[0]
    header_bytes = line.recv(header_size)
    header = json.loads(header_bytes.decode("utf-8"))

    total = header["total_size"]

    got = 0
    answer = b""
    while got < total:
        piece = line.recv(1024)
        answer += piece
        got += len(piece)
    print(answer.decode("gbk"))
