"""A process out of a function. The module that it sleeps with was never imported."""

import os
from multiprocessing import Process

PACE = float(os.environ.get("LAB_PACE", "1"))


def work(who):
    print(f"{who} begins")
    time.sleep(3 * PACE)  # type: ignore[name-defined]  # noqa: F821
    print(f"{who} is over")


if __name__ == "__main__":
    process = Process(target=work, args=("the child",))
    process.start()
    print("main")
