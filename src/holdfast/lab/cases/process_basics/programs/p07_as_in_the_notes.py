"""A process with a name is ended as soon as it was started; a second later: does it live?"""

import os
import time
from multiprocessing import Process, current_process

PACE = float(os.environ.get("LAB_PACE", "1"))


def work():
    print(f"{current_process().name} begins")
    time.sleep(2 * PACE)


if __name__ == "__main__":
    process = Process(target=work, name="the child")
    process.start()
    process.terminate()
    time.sleep(1 * PACE)
    print(f"alive: {process.is_alive()}")
    print("main")
