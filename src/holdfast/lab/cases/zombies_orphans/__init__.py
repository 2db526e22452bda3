"""Zombies and orphans: dead children that nobody has asked for, and children whose parent is dead."""

from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="zombies-orphans",
    chapter=Chapter.PROCESSES,
    title=Text("Zombies and orphans", "僵尸进程与孤儿进程"),
    question=Text(
        "Who takes an orphan, who takes a zombie away, and what does a pile of them use up?",
        "孤儿归谁，僵尸由谁收走，堆积起来耗尽的是什么？",
    ),
    claims={
        "n061": Claim(
            Text("A process whose parent has died is an orphan; init takes it in, and it does no harm.",
                 "父进程死了，子进程就成为孤儿；init 会收养它，没有害处。"),
            "孤儿院",
        ),
        "n062": Claim(
            Text("A child that is dead while its parent lives is a zombie; mostly harmless, a wait call takes it away.",
                 "父进程还在而子进程已死，就是僵尸；通常无害，wait 会把它收走。"),
            "僵尸进程",
        ),
        "n063": Claim(
            Text("A parent that starts children in a loop and never collects them makes more and more zombies and uses the system up.",
                 "父进程循环开子进程而从不回收，僵尸越来越多，系统资源被耗尽。"),
            "不被回收",
        ),
        "n064": Claim(
            Text("When zombies have filled the memory, the system can start no other program.",
                 "僵尸占满内存之后，系统就启动不了别的程序。"),
            "占满内存",
        ),
    },
    words=("zombie", "zombies", "orphan", "orphans", "僵尸", "孤儿", "defunct", "wait", "reap", "subreaper", "init", "收尸"),
    reading=(
        Reading(
            "src/holdfast/keeper/adoption.py",
            Text("how Holdfast's keeper takes in what a dead supervisor leaves", "Holdfast 的守护者如何收养死去的监管进程留下的一切"),
        ),
        Reading(
            "src/holdfast/keeper/tree.py",
            Text("all processes of a job, found by their parents", "按父子关系找出一个任务的全部进程"),
        ),
        Reading("src/holdfast/keeper/linux.py", Text("one call makes a sub-reaper", "一次调用成为收养者")),
    ),
)  # fmt: skip
