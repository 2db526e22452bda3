"""The same server; now connections do not wait either, answers are sent to their end, and who has gone is closed."""

import sys
from socket import AF_INET, SOCK_STREAM, socket

server = socket(AF_INET, SOCK_STREAM)
server.bind(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8080))
server.listen(5)
server.setblocking(False)
print("port", server.getsockname()[1])

answers = {}
while True:
    try:
        connection, address = server.accept()
        connection.setblocking(False)  # on Linux it does not come from the listener
        answers[connection] = b""
    except BlockingIOError:
        for connection in list(answers):
            try:
                if answers[connection]:  # who does not read is not read from either
                    sent = connection.send(answers[connection])
                    answers[connection] = answers[connection][sent:]
                else:
                    data = connection.recv(1024)
                    if len(data) == 0:
                        raise ConnectionError("the client has gone")
                    answers[connection] = data.upper()
            except BlockingIOError:
                pass
            except OSError:
                del answers[connection]
                connection.close()
