"""Threads: what they are, how they start, what they share, how they end."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="thread-basics",
    chapter=Chapter.THREADS,
    title=Text("Threads: starting, sharing, ending", "线程：开启、共享、结束"),
    question=Text(
        "What is a thread, how is it started, what does it share with its process, and what can a process do that it cannot?",
        "线程是什么，怎么开启，与进程共享什么？进程能做而线程不能做的是什么？",
    ),
    claims={
        "n082": Claim(
            Text(
                "A process owns resources; what runs is a thread, and each process has at least one.",
                "进程占有资源，真正执行的是线程，每个进程至少有一个线程。",
            ),
            "资源单位 / 执行单位",
        ),
        "n083": Claim(
            Text(
                "There are two ways to start a thread: give it a function, or subclass it.",
                "开启线程有两种方式：传函数，或写子类。",
            ),
        ),
        "n084": Claim(Text("A thread is made much faster than a process.", "造线程比造进程快得多。"), "要远远快于"),
        "n085": Claim(
            Text(
                "Threads of a process share its data: main sees what the thread has written.",
                "同一进程的线程共享数据：主线程看得到子线程写的值。",
            ),
            "主 0",
        ),
        "n086": Claim(
            Text("Threads have all the methods that processes have.", "进程有的方法线程都有。"), "进程的方法线程也都有"
        ),
        "n087": Claim(
            Text(
                "The lines come in this order: the thread begins, main, the thread is over.",
                "输出的顺序是：子线程开始、主、子线程结束。",
            ),
        ),
        "n088": Claim(
            Text(
                "A daemon thread lives until the last other thread of its process has ended.",
                "守护线程活到本进程内所有非守护线程都结束为止。",
            ),
            "守护线程",
        ),
        "n089": Claim(
            Text(
                "Both begin, then main, then the short one is over; the daemon's last line never comes.",
                "两个线程先后开始，然后是主线程，然后短的结束；守护线程的最后一行不会出现。",
            ),
            "end456",
        ),
    },
    words=("thread", "threads", "线程", "daemon thread", "守护线程", "shared memory", "creation cost", "tid"),
    programs=(
        Program((15,), "p15", Text("A thread from a function", "用函数开启线程")),
        Program((16,), "p16", Text("A thread as a subclass", "用子类开启线程")),
        Program((17,), "p17", Text("A thread or a process", "线程或进程")),
        Program((18,), "p18", Text("A thread changes a global", "线程修改全局变量")),
        Program((19,), "p19", Text("Main is through first", "主线程先结束")),
        Program((20,), "p20", Text("A daemon thread", "守护线程")),
    ),
    reading=(
        Reading(
            "src/holdfast/functions/threaded.py",
            Text("Holdfast's worker that runs calls in threads", "Holdfast 用线程执行调用的工作进程"),
        ),
        Reading("docs/explanation/how-pools-work.md", Text("which kind of pool for what", "什么场合用哪种池")),
    ),
)
