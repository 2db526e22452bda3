"""Work that outlives its worker: a consumer is killed in the middle of an item, and another one gets it.

Usage: python examples/work_queue.py
"""

import os
import sys

import holdfast

CONSUMER = """
import os, sys, holdfast
with holdfast.connect("local", state_dir=sys.argv[1]) as host:
    item = host.queue("pages", durable=True, visible=2).take()
    print("took", item.value, flush=True)
    os.kill(os.getpid(), 9)
"""


def main() -> None:
    """Put three items, lose a consumer, and see that nothing else is lost."""
    with holdfast.connect() as host:
        pages = host.queue("pages", durable=True, visible=2)
        for number in (1, 2, 3):
            pages.put(number)
        state_dir = host.status().state_dir
        lost = host.run([sys.executable, "-c", CONSUMER, state_dir], text=True, env={"HOME": os.environ["HOME"]})
        print(lost.stdout.strip(), "and died with", lost.returncode)
        done: list[tuple[int, int]] = []
        while len(done) < 3:
            with pages.take(timeout=60) as item:
                done.append((item.value, item.delivery))
        for value, delivery in sorted(done):
            print(f"page {value} done at delivery {delivery}")


if __name__ == "__main__":
    main()
