"""A client: says hello and prints the answer, again and again (with a second argument: so many times)."""

import os
import sys
from itertools import count
from socket import AF_INET, SOCK_STREAM, socket

client = socket(AF_INET, SOCK_STREAM)
client.connect(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8080))

for _ in range(int(sys.argv[2])) if sys.argv[2:] else count():
    words = f"hello from {os.getpid()}"
    client.send(words.encode("utf-8"))
    data = client.recv(1024)
    print(data.decode("utf-8"))
