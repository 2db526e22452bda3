"""The sections of the notes, in their order, with their own headings. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from holdfast.lab.text import Text

CLAIMS: Final = 135
PROGRAMS: Final = 39


class Section(msgspec.Struct, frozen=True):
    """A section: its heading in the notes' own words, and the first and last of its claims."""

    heading: Text
    first: int
    last: int

    @property
    def claims(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(claim_id(number) for number in range(self.first, self.last + 1))


def claim_id(number: int) -> str:
    """``n024`` for 24."""
    return f"n{number:03}"


def _section(zh: str, en: str, first: int, last: int) -> Section:
    return Section(Text(en, zh), first, last)


SECTIONS: Final = (
    _section("三次握手四次挥手", "Three-way handshake, four-way close", 1, 5),
    _section("C/S B/S", "Client/server, browser/server", 6, 8),
    _section("什么是互联网", "What the internet is", 9, 9),
    _section("自定义协议", "A protocol of one's own", 10, 12),
    _section("标识地址的方式", "What identifies an address", 13, 17),
    _section("为何建立连接要三次而断开连接却需要四次", "Why three to connect and four to close", 18, 20),
    _section("为何tcp协议是可靠协议,而udp协议是不可靠协议", "Why TCP is reliable and UDP is not", 21, 26),
    _section("struct模块", "The struct module", 27, 29),
    _section("模拟ssh远程执行命令", "Remote command execution, a simulated ssh", 30, 42),
    _section("进程", "Processes", 43, 48),
    _section("开启进程的两种方式", "Two ways to start a process", 49, 53),
    _section("进程间的内存空间是彼此隔离的", "Processes do not share memory", 54, 54),
    _section("进程的方法与属性", "Methods and attributes of a process", 55, 60),
    _section("孤儿进程 / 僵尸进程", "Orphans and zombies", 61, 64),
    _section("守护进程", "Daemon processes", 65, 67),
    _section("互斥锁（进程）", "The mutex, between processes", 68, 71),
    _section("IPC机制", "Communication between processes", 72, 78),
    _section("生产者与消费者模型", "Producers and consumers", 79, 81),
    _section("线程", "Threads", 82, 83),
    _section("线程VS进程", "Threads against processes", 84, 85),
    _section("线程对象的其他方法和属性", "Other methods and attributes of threads", 86, 87),
    _section("守护线程", "Daemon threads", 88, 89),
    _section("互斥锁（线程）", "The mutex, between threads", 90, 91),
    _section("死锁现象与递归锁", "Deadlock and the recursive lock", 92, 95),
    _section("信号量", "The semaphore", 96, 99),
    _section("GIL全局解释器锁", "The global interpreter lock", 100, 106),
    _section("定时器", "The timer", 107, 108),
    _section("线程queue", "Queues of threads", 109, 110),
    _section("进程池与线程池", "Pools of processes and threads", 111, 117),
    _section("协程", "Coroutines", 118, 123),
    _section("IO模型", "Models of input and output", 124, 126),
    _section("非阻塞IO", "Non-blocking input and output", 127, 129),
    _section("多路复用IO", "Multiplexing", 130, 134),
    _section("异步IO", "Asynchronous input and output", 135, 135),
)
