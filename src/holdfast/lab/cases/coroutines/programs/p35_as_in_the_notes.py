"""Five hundred threads, each a client that says the same a few times. ``python p35_….py [PORT [ROUNDS [THREADS]]]``"""

import sys
from socket import AF_INET, SOCK_STREAM, socket
from threading import Thread, current_thread

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
THREADS = int(sys.argv[3]) if len(sys.argv) > 3 else 500


def chat():
    line = socket(AF_INET, SOCK_STREAM)
    line.connect(("127.0.0.1", PORT))
    for _ in range(ROUNDS):
        words = f"{current_thread().name} is on the line"
        line.send(words.encode("utf-8"))
        heard = line.recv(1024)
        print(heard.decode("utf-8"))


if __name__ == "__main__":
    for _ in range(THREADS):
        caller = Thread(target=chat)
        caller.start()
