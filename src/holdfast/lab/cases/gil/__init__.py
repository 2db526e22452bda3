"""The global interpreter lock: what it forbids, what it does not, and what there is beside it."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="gil",
    chapter=Chapter.THREADS,
    title=Text("The GIL: threads that wait, threads that compute", "GIL：等待的线程与计算的线程"),
    question=Text(
        "When do threads help, when must it be processes, and is that so in every Python?",
        "什么时候线程就够，什么时候非用进程不可？每种 Python 都如此吗？",
    ),
    claims={
        "n100": Claim(
            Text("The GIL is a mutex: of a process's threads one runs at a time.",
                 "GIL 是一把互斥锁：一个进程的多个线程，同一时刻只有一个在运行。"),
            "互斥锁",
        ),
        "n101": Claim(
            Text("So threads of CPython never compute in parallel and make no use of several cores; concurrency does not suffer.",
                 "所以 CPython 的线程不能并行计算，用不上多核；并发则不受影响。"),
            "无法实现并行",
        ),
        "n102": Claim(
            Text("It is there since the garbage collector is not thread-safe: a value might be collected while it is assigned.",
                 "有它是因为垃圾回收器不是线程安全的：值可能在赋值途中被回收。"),
            "垃圾回收机制",
        ),
        "n103": Claim(
            Text("Processes are for computing, threads for waiting.", "计算用多进程，等待用多线程。"),
            "计算密集型",
        ),
        "n104": Claim(
            Text("Four waits of 5 s took 5.16 s and 5.00 s: by their order with processes, then with threads.",
                 "四个 5 秒的等待用了 5.16 秒和 5.00 秒：按顺序应是先进程、后线程。"),
            "IO密集型",
        ),
        "n105": Claim(
            Text("Four tasks that compute took 6.48 s with threads and 17.39 s with processes.",
                 "四个计算任务，多线程用 6.48 秒，多进程用 17.39 秒。"),
            "运行时间",
        ),
        "n106": Claim(
            Text("os.cpu_count() tells how many cores a program can use: 4 on their machine.",
                 "os.cpu_count() 告诉程序有几个核可用：他们的机器是 4 个。"),
            "本机为4核",
        ),
    },
    words=("gil", "global interpreter lock", "全局解释器锁", "free-threaded", "nogil", "sub-interpreters", "子解释器", "cpu",
           "多核", "cores", "计算密集型", "io密集型"),
    programs=(
        Program((25,), "p25", Text("Four tasks that wait, in threads or processes", "四个等待的任务，用线程或进程")),
        Program((26,), "p26", Text("Four tasks that compute, in threads or processes", "四个计算的任务，用线程或进程")),
    ),
    reading=(
        Reading("src/holdfast/lab/cases/gil/contest.py",
                Text("how it is seen that two tasks truly run at the same time", "如何看出两个任务确实同时在运行")),
        Reading("src/holdfast/functions/worker.py",
                Text("where Holdfast calls your functions: in worker processes, each with an interpreter of its own",
                     "Holdfast 在哪里调用你的函数：工作进程，每个都有自己的解释器")),
    ),
)  # fmt: skip
