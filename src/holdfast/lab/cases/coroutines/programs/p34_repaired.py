"""The same server, with room for all, whole answers and no client that can harm it. ``python p34_….py [PORT]``"""

from gevent import monkey, spawn

monkey.patch_all()

import sys  # noqa: E402
from socket import AF_INET, SOCK_STREAM, socket  # noqa: E402


def attend(client):
    with client:
        while True:
            try:
                said = client.recv(1024)
                if len(said) == 0:
                    break
                client.sendall(said.upper())
            except OSError:  # reset, broken pipe, timed out: this client is gone, whatever the reason
                break


def reception(host, port, backlog=1024):
    door = socket(AF_INET, SOCK_STREAM)
    door.bind((host, port))
    door.listen(backlog)
    print(f"open at port {door.getsockname()[1]}")
    while True:
        client, _ = door.accept()
        spawn(attend, client)


if __name__ == "__main__":
    first = spawn(reception, "127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    first.join()
