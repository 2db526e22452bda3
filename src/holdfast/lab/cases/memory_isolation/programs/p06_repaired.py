"""A child changes a global; its parent waits for the child's end, however long that takes, and looks."""

from multiprocessing import Process

number = 100


def change():
    global number
    number = 0
    print("changed")


if __name__ == "__main__":
    process = Process(target=change)
    process.start()
    process.join()
    print(number)
