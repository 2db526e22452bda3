"""A server that asks all the time: is somebody there, has somebody said something? It tells when its list grows."""

import sys
from socket import AF_INET, SOCK_STREAM, socket

server = socket(AF_INET, SOCK_STREAM)
server.bind(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8080))
server.listen(5)
server.setblocking(False)
print("port", server.getsockname()[1])

connections = []
told = -1
while True:
    try:
        if told != len(connections):  # the notes tell at every turn, thousands of times a second
            told = len(connections)
            print("connections", told)
        connection, address = server.accept()
        connections.append(connection)
    except BlockingIOError:
        gone = []
        for connection in connections:
            try:
                data = connection.recv(1024)
                if len(data) == 0:
                    gone.append(connection)
                    continue
                connection.send(data.upper())
            except BlockingIOError:
                pass
            except ConnectionResetError:
                gone.append(connection)

        for connection in gone:
            connections.remove(connection)
