"""Two locks, taken in opposite orders."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="deadlock",
    chapter=Chapter.THREADS,
    title=Text("Deadlock, and the lock that its owner may take again", "死锁与递归锁"),
    question=Text(
        "How do two locks stop a program for ever, can that be found out while it happens, and what cures it?",
        "两把锁怎样让程序永远停住？能当场发现吗？怎样才能避免？",
    ),
    claims={
        "n092": Claim(
            Text(
                "Ten threads that take A and then B, and later B and then A, stop: one has B and wants A, another has A and wants B.",
                "十个线程先拿 A 再拿 B，之后先拿 B 再拿 A，就会停住：一个拿着 B 要 A，另一个拿着 A 要 B。",
            ),
            "死锁",
        ),
        "n093": Claim(
            Text("It shows that nobody can hold two locks at the same time.", "这说明不能同时持有两把锁。"),
            "2把锁不能同时acquire",
        ),
        "n094": Claim(
            Text("An RLock can be taken again and again.", "递归锁可以一再获取。"),
            "递归锁",
        ),
        "n095": Claim(
            Text(
                "Used for A and for B, an RLock is one lock turned into two, and that is what cures the deadlock.",
                "A 和 B 都用同一把递归锁：一把锁当成两把用，死锁就解决了。",
            ),
            "其本质其实还是一把锁",
        ),
    },
    words=("deadlock", "rlock", "recursive lock", "死锁", "递归锁", "lock order", "wait-for graph", "可重入锁"),
    programs=(
        Program(
            (22,),
            "p22",
            Text("Ten threads, two locks, both orders", "十个线程，两把锁，两种顺序"),
            Text("it stops for ever; mended by one order of the locks for all", "会永远停住；统一加锁顺序即可"),
        ),
        Program((23,), "p23", Text("The same with one RLock under two names", "同样的程序，两个名字共用一把递归锁")),
    ),
    reading=(
        Reading(
            "src/holdfast/coordination/deadlock.py",
            Text(
                "how Holdfast finds a circle at the very wait that closes it",
                "Holdfast 如何在合上环的那次等待时当场发现死锁",
            ),
        ),
        Reading("docs/explanation/locks-and-leases.md", Text("locks between machines", "跨机器的锁")),
    ),
)
