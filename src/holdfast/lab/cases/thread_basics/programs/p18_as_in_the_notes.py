"""A thread changes a global of the program."""

from threading import Thread

number = 100


def work():
    global number
    number = 0


if __name__ == "__main__":
    thread = Thread(target=work)
    thread.start()
    thread.join()
    print("main", number)
