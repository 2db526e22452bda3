"""The ticket shop: ten buyers, one file."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="tickets",
    chapter=Chapter.PROCESSES,
    title=Text("The ticket shop: ten buyers, one file", "抢票：十个买家，一个文件"),
    question=Text(
        "Ten processes buy from one file. How many tickets are sold, with a lock and without, and what does the lock make serial?",
        "十个进程从同一个文件买票，加锁和不加锁各卖出多少张？锁把什么变成了串行？",
    ),
    claims={
        "n068": Claim(
            Text(
                "A mutex makes serial only that part of the work which changes what is shared.",
                "互斥锁只把修改共享数据的那部分变成串行。",
            ),
            "变成串行",
        ),
        "n069": Claim(
            Text(
                "Ten buyers look together and buy one at a time, with a lock around buying.",
                "十个买家一起查票，加锁之后逐个购票。",
            ),
            "购票",
        ),
        "n070": Claim(
            Text(
                "A mutex cannot be acquired twice in a row; it has to be released in between.",
                "互斥锁不能连续获取，必须先释放。",
            ),
            "不能连续的acquire",
        ),
        "n071": Claim(
            Text("`with mutex:` is short for acquire and release.", "`with mutex:` 是获取加释放的简写。"), "with mutex"
        ),
    },
    words=("tickets", "ticket", "mutex", "lock", "互斥锁", "购票", "抢票", "oversold", "超卖", "file lock"),
    programs=(
        Program(
            (9,),
            "p09",
            Text("Ten buyers, one file, one lock", "十个买家，一个文件，一把锁"),
            Text(
                "an error while buying would keep the lock for ever; `with` gives it back",
                "买票时出错会一直占着锁；用 `with` 就会归还",
            ),
        ),
        Program((), "unlocked", Text("The same without the lock", "同样的程序，不加锁")),
    ),
    reading=(
        Reading(
            "examples/lock_a_deploy.py",
            Text("a lock of Holdfast around what only one may do", "用 Holdfast 的锁保护只许一人做的事"),
        ),
        Reading(
            "docs/explanation/locks-and-leases.md",
            Text("a lock between machines, and its token", "跨机器的锁和它的令牌"),
        ),
    ),
)
