"""Five hundred threads, each a client that talks for ever. ``python p35_….py [PORT]``"""

import sys
from socket import AF_INET, SOCK_STREAM, socket
from threading import Thread, current_thread

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8080


def chat():
    line = socket(AF_INET, SOCK_STREAM)
    line.connect(("127.0.0.1", PORT))
    while True:
        words = f"{current_thread().name} is on the line"
        line.send(words.encode("utf-8"))
        heard = line.recv(1024)
        print(heard.decode("utf-8"))


if __name__ == "__main__":
    for _ in range(500):
        caller = Thread(target=chat)
        caller.start()
