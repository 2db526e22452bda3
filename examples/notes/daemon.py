"""A daemon process goes with the program; another one is waited for."""

import time
from multiprocessing import Process, Queue  # or: holdfast.local


def watch(told):
    told.put("the daemon is watching")
    time.sleep(60)
    print("never printed", flush=True)


def work(told):
    told.put("the worker is working")
    time.sleep(1)
    print("the worker is done", flush=True)


if __name__ == "__main__":
    told = Queue()
    Process(target=watch, args=(told,), daemon=True).start()
    Process(target=work, args=(told,)).start()
    for line in sorted(told.get(timeout=60) for _ in range(2)):
        print(line)
    print("the program has come to its end", flush=True)
