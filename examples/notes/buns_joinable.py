"""The bun shop without "nothing more": each bun is reported as eaten, and the shop closes when all of them are.

The guests are daemons: they would wait for ever, and go with the program.
"""

from multiprocessing import JoinableQueue, Process, Queue  # or: holdfast.local


def bake(counter, baker):
    for bun in range(5):
        counter.put(f"{baker}'s bun {bun}")
    counter.join()


def eat(counter, eaten):
    while True:
        eaten.put(counter.get())
        counter.task_done()


if __name__ == "__main__":
    counter, eaten = JoinableQueue(3), Queue()
    for _ in range(2):
        Process(target=eat, args=(counter, eaten), daemon=True).start()
    bakers = [Process(target=bake, args=(counter, name)) for name in ("Ada", "Bo")]
    for baker in bakers:
        baker.start()
    for baker in bakers:
        baker.join()
    print("every bun was eaten:")
    for bun in sorted(eaten.get(timeout=60) for _ in range(10)):
        print(" ", bun)
