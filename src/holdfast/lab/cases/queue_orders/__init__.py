"""The three orders of a queue: first come, last come, most urgent."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="queue-orders",
    chapter=Chapter.THREADS,
    title=Text("Queues: which item comes out next", "队列：下一个出来的是谁"),
    question=Text(
        "Which item do the three kinds of queue give out next, and what happens when two are equally urgent?",
        "三种队列下一个给出的是哪一项？两项同样紧急时会怎样？",
    ),
    claims={
        "n109": Claim(
            Text(
                "A `Queue` gives out the oldest item first, a `LifoQueue` the newest, like a stack.",
                "`Queue` 先给出最早放入的，`LifoQueue` 先给出最晚放入的，像栈一样。",
            ),
            "先进先出 / 堆栈",
        ),
        "n110": Claim(
            Text(
                "A `PriorityQueue` gives out the item with the smallest number first.",
                "`PriorityQueue` 先给出数字最小的那一项。",
            ),
            "优先级队列",
        ),
    },
    words=("queue", "fifo", "lifo", "stack", "priority", "priority queue", "heap", "队列", "堆栈", "优先级"),
    programs=(
        Program((28,), "p28", Text("First in, first out", "先进先出")),
        Program((29,), "p29", Text("Last in, first out", "后进先出")),
        Program((30,), "p30", Text("The smallest number first", "数字小的先出")),
    ),
    reading=(
        Reading(
            "src/holdfast/coordination/queues.py",
            Text(
                "Holdfast's queue: three orders, what is equal comes in the order of arrival",
                "Holdfast 的队列：三种顺序，相同的按到达先后",
            ),
        ),
        Reading(
            "src/holdfast/client/coordination/values.py",
            Text("how the place of an item is found without comparing what it carries", "不比较内容也能定出一项的位置"),
        ),
    ),
)
