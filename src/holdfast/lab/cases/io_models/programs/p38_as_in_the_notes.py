"""A server with select: one list to read from, one to write to, and what is to be written in a dictionary."""

import select
import sys
from socket import AF_INET, SOCK_STREAM, socket

server = socket(AF_INET, SOCK_STREAM)
server.bind(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8080))
server.listen(5)
server.setblocking(False)
print("port", server.getsockname()[1])

answers = {}
to_read = [server]
to_write = []
while True:
    readable, writable, broken = select.select(to_read, to_write, [])
    for each in readable:
        if each == server:
            connection, address = each.accept()
            to_read.append(connection)
        else:
            data = each.recv(1024)
            to_write.append(each)
            answers[each] = data

    for each in writable:
        each.send(answers[each].upper())
        answers.pop(each)
        to_write.remove(each)
