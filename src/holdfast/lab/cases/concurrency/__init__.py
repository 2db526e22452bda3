"""Serial, concurrent, parallel: what takes turns on one core, what needs two, and what a process is kept apart by."""

from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="concurrency",
    chapter=Chapter.CONCURRENCY,
    title=Text("Serial, concurrent, parallel", "串行、并发、并行"),
    question=Text(
        "How do several tasks share one core, what changes with two, and how far apart are their memories?",
        "几个任务怎样共用一个核？有两个核时有何不同？它们的内存隔离到什么程度？",
    ),
    claims={
        "n043": Claim(
            Text("A process is a running program; the operating system hides the hardware and puts the rivalry for it in order.",
                 "进程是正在运行的程序；操作系统隐藏硬件的细节，并让对硬件的竞争变得有序。"),
            "操作系统",
        ),
        "n044": Claim(
            Text("One core is enough to be concurrent; to be parallel takes several.", "并发一个核就够，并行必须有多个核。"),
            "串行、并发、并行",
        ),
        "n045": Claim(
            Text("One core runs one task at a time, because each process that is started makes a GIL.",
                 "一个核同一时刻只运行一个任务，因为每启动一个进程就产生一把 GIL。"),
            "每起一个进程就会产生一把GIL",
        ),
        "n046": Claim(
            Text("To be concurrent is to switch and to save the state.", "并发就是切换加保存状态。"),
            "切换+保存状态",
        ),
        "n047": Claim(
            Text("Processes share the memory bar but are kept apart from each other, and physically so.",
                 "多个进程共用内存条，但彼此隔离，而且是物理层面的隔离。"),
            "物理层面隔离",
        ),
        "n048": Claim(
            Text("The core is handed on when a task waits, when it has run too long, or when a more important one comes.",
                 "任务等待 I/O、运行太久，或有更重要的任务到来时，CPU 就切换。"),
            "时间上的复用",
        ),
    },
    words=("serial", "concurrent", "parallel", "串行", "并发", "并行", "switch", "切换", "copy-on-write", "写时复制",
           "scheduler", "调度", "priority", "优先级", "多道技术", "affinity"),
    reading=(
        Reading("src/holdfast/lab/cases/concurrency/running.py",
                Text("tasks bound to cores, and how their turns are seen", "绑定到核上的任务，以及如何看出它们的轮换")),
        Reading("src/holdfast/jobs/admission.py",
                Text("how Holdfast shares out places to run: so many jobs at once, the others in a queue",
                     "Holdfast 如何分配运行名额：同时若干个作业，其余排队")),
    ),
)  # fmt: skip
