"""A hundred threads and one number."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="lost-update",
    chapter=Chapter.THREADS,
    title=Text("The lost update", "丢失的更新"),
    question=Text(
        "A hundred threads each take one from 100. What is left, and what does it cost to get it right?",
        "一百个线程各从 100 里减一，还剩多少？要算对，代价是什么？",
    ),
    claims={
        "n090": Claim(
            Text(
                "Without a lock 99 are left, after 0.112 s, which shows that threads share their data.",
                "不加锁剩下 99，用时 0.112 秒，说明线程共享数据。",
            ),
            "99 0.1123046875",
        ),
        "n091": Claim(
            Text("With the lock none are left: safe, at the price of speed.", "加锁后剩 0：安全了，但牺牲了效率。"),
            "牺牲了效率",
        ),
    },
    words=("lost update", "race", "race condition", "mutex", "lock", "互斥锁", "竞态", "丢失更新", "数据安全"),
    programs=(
        Program(
            (21,),
            "p21",
            Text("A hundred threads take one from 100", "一百个线程各减一"),
            Text("reading and writing back are kept together by a lock", "用锁把读取和写回连成一体"),
        ),
    ),
    reading=(
        Reading(
            "src/holdfast/coordination/locks.py",
            Text("Holdfast's lock, for threads of several machines", "Holdfast 的锁，可跨机器"),
        ),
    ),
)
