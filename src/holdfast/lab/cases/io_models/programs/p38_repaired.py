"""The same server; an empty read or an error ends a connection, and what is not taken of an answer is kept."""

import select
import sys
from socket import AF_INET, SOCK_STREAM, socket

server = socket(AF_INET, SOCK_STREAM)
server.bind(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8080))
server.listen(5)
server.setblocking(False)
print("port", server.getsockname()[1])

answers = {}


def go_on(connection):
    """Read if there is nothing to be sent, else send what goes."""
    if not answers[connection]:
        data = connection.recv(1024)
        if len(data) == 0:
            raise ConnectionError("the client has gone")
        answers[connection] = data.upper()
    else:
        sent = connection.send(answers[connection])
        answers[connection] = answers[connection][sent:]


while True:
    to_read = [connection for connection, answer in answers.items() if not answer]
    to_write = [connection for connection, answer in answers.items() if answer]
    readable, writable, broken = select.select([server, *to_read], to_write, [])
    for each in readable + writable:
        if each is server:
            connection, address = server.accept()
            connection.setblocking(False)
            answers[connection] = b""
            continue
        try:
            go_on(each)
        except BlockingIOError:
            pass
        except OSError:
            del answers[each]
            each.close()
