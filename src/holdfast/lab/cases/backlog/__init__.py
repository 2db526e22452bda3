"""The backlog: what the number given to ``listen`` limits."""

from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="backlog",
    chapter=Chapter.NETWORK,
    title=Text("The backlog: what listen(5) limits", "backlog：listen(5) 限制的是什么"),
    question=Text(
        "What does the number given to `listen` limit: connections, requests, or those that wait, and in which of the two queues?",
        "传给 `listen` 的数字限制的是什么：连接、请求，还是等待者？又是两个队列中的哪一个？",
    ),
    claims={
        "n001": Claim(
            Text(
                "The number given to `listen` sizes a pool of half-open connections; it limits the requests of one moment, not the connections.",
                "传给 `listen` 的数字是半连接池的大小：限制的是某一时刻的请求数，不是连接数。",
            ),
            "半连接池",
        ),
    },
    words=("backlog", "listen", "listen(5)", "半连接池", "全连接队列", "accept queue", "syn queue", "syn cookies", "somaxconn"),
    reading=(
        Reading(
            "src/holdfast/lab/kernel_tables.py",
            Text("where the kernel tells how many wait and how many may", "内核在哪里说出有几个在等、最多几个能等"),
        ),
        Reading(
            "src/holdfast/agent/network.py",
            Text("Holdfast's agent listens before it has recovered; clients wait in the backlog until it serves them",
                 "Holdfast 的 agent 恢复完成之前就开始监听；客户端在 backlog 里等到它开始服务"),
        ),
        Reading(
            "src/holdfast/transport/unix.py",
            Text("a Unix socket is refused at once where TCP would wait, so Holdfast's client tries again",
                 "TCP 会等待的地方，Unix 套接字立刻被拒绝，所以 Holdfast 的客户端会再试"),
        ),
    ),
)  # fmt: skip
