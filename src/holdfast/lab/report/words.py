"""What the report itself says, in both languages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.lab.case import Chapter
from holdfast.lab.text import Language, Text
from holdfast.lab.verdicts import Verdict

CHAPTERS: Final[Mapping[Chapter, Text]] = {
    Chapter.NETWORK: Text("The network", "网络"),
    Chapter.CONCURRENCY: Text("Concurrency", "并发"),
    Chapter.IO_MODELS: Text("Models of input and output", "IO 模型"),
    Chapter.PROCESSES: Text("Processes", "进程"),
    Chapter.THREADS: Text("Threads", "线程"),
}
VERDICTS: Final[Mapping[Verdict, Text]] = {
    Verdict.CONFIRMED: Text("confirmed", "成立"),
    Verdict.REFINED: Text("refined", "需修正"),
    Verdict.REFUTED: Text("refuted", "不成立"),
    Verdict.DEFINITION: Text("definition", "定义"),
}
SIGNS: Final[Mapping[Verdict, str]] = {
    Verdict.CONFIRMED: "✓",
    Verdict.REFINED: "≈",
    Verdict.REFUTED: "✗",
    Verdict.DEFINITION: "≔",
}
KINDS: Final[Mapping[str, Text]] = {
    "work": Text("works", "运行"),
    "wait": Text("waits", "等待"),
    "hold": Text("holds it or is inside", "持有或在内"),
    "dead": Text("dead or stuck", "已死或卡住"),
}
_WORDS: Final[Mapping[str, Text]] = {
    "question": Text("Question", "问题"),
    "notes": Text("What the notes say", "笔记怎么说"),
    "happened": Text("What happened", "实际发生了什么"),
    "figures": Text("Figures", "数字"),
    "verdict": Text("Verdicts", "判定"),
    "reading": Text("How to read on", "如何读代码"),
    "lesser": Text("Lesser form", "简化形式"),
    "program": Text("program as in the notes", "笔记原样的程序"),
    "repaired": Text("repaired", "修好的"),
    "depends": Text("depends on", "取决于"),
    "nothing": Text("nothing to repair", "无须修改"),
    "title": Text("Holdfast lab: the notes, put to the test", "Holdfast 实验室：把笔记拿来验证"),
    "what": Text(
        "A set of study notes on networking and concurrency makes 135 claims; here each of them meets an experiment that you can "
        "run yourself. Every verdict and every number was computed from the run described below, also where the notes are wrong.",
        "一份关于网络与并发的学习笔记提出了 135 条论断；在这里，每一条都要经过一个你也能亲手运行的实验。"
        "每个判定、每个数字都由下面所述的这次运行算出，笔记说错的地方也照实写明。",
    ),
    "run": Text("The run", "本次运行"),
    "machine": Text("Machine", "机器"),
    "date": Text("Date", "日期"),
    "seed": Text("Seed", "种子"),
    "form": Text("Form", "规模"),
    "quick": Text("quick", "快速"),
    "full": Text("full", "完整"),
    "pace": Text("Pace", "节奏"),
    "pace-is": Text("one second of the notes' sleeps lasts {pace} s", "笔记中睡眠的一秒在此为 {pace} 秒"),
    "took": Text("Took", "用时"),
    "processors": Text("processors", "个处理器"),
    "memory": Text("memory", "内存"),
    "open-files": Text("open files allowed", "个可打开的文件"),
    "as-root": Text("as root", "以 root 运行"),
    "as-user": Text("not as root", "非 root 运行"),
    "with-gil": Text("with GIL", "带 GIL"),
    "without-gil": Text("without GIL", "无 GIL"),
    "summary": Text("Summary", "概览"),
    "of-claims": Text("claims", "条论断"),
    "not-run": Text("not run", "未运行"),
    "failed": Text("failed", "运行失败"),
    "all": Text("all", "全部"),
    "search": Text("Search the claims and cases", "搜索论断与案例"),
    "shown": Text("shown", "条显示"),
    "show-only": Text("Show only", "只看"),
    "claim": Text("Claim", "论断"),
    "says": Text("What the notes say", "笔记怎么说"),
    "verdict-one": Text("Verdict", "判定"),
    "case": Text("Case", "案例"),
    "all-claims": Text("All claims, in the order of the notes", "全部论断（按笔记的顺序）"),
    "contents": Text("Contents", "目录"),
    "answer": Text("Answer", "回答"),
    "claims-of": Text("What the notes claim", "笔记的论断"),
    "median": Text("median", "中位数"),
    "range": Text("lowest to highest", "最低到最高"),
    "rounds": Text("rounds", "轮数"),
    "figure": Text("figure", "数字"),
    "evidence": Text("Verdicts and evidence", "判定与证据"),
    "as-in-the-notes": Text("as in the notes", "笔记原样"),
    "number": Text("Program {numbers} of the notes", "笔记中的程序 {numbers}"),
    "own": Text("Program", "程序"),
    "source": Text("Source of the case", "案例的源文件"),
    "observes": Text("does the experiment", "做实验"),
    "judges": Text("draws the verdicts", "作出判定"),
    "again": Text("Run it yourself", "自己运行"),
    "left-over": Text("Left behind and ended", "遗留并被结束的进程"),
    "values": Text("The values as a table", "数值表"),
    "in-words": Text("The times as a table", "时间表"),
    "who": Text("who", "谁"),
    "does": Text("does what", "做什么"),
    "from": Text("from", "从"),
    "to": Text("to", "到"),
    "event": Text("something happens", "发生某事"),
    "time": Text("time", "时间"),
    "more-lanes": Text("and {count} more", "另有 {count} 条"),
    "timeline": Text("Timeline", "时间线"),
    "sequence": Text("Sequence of messages", "消息序列"),
    "plot": Text("Plot", "图"),
    "lanes": Text("{count} lanes, {time} in all", "{count} 条线，共 {time}"),
    "messages": Text("{count} messages between {left} and {right}", "{left} 与 {right} 之间的 {count} 条消息"),
    "theme": Text("Light or dark", "明暗切换"),
    "top": Text("To the top", "回到顶部"),
    "skip": Text("To the content", "跳到正文"),
    "index": Text("All cases", "全部案例"),
    "made": Text("Written by `holdfast lab report` from stored runs; nothing was run for it.", "由 `holdfast lab report` 根据保存的运行写成，没有为此重新运行。"),
}  # fmt: skip


def word(key: str, language: Language) -> str:
    """One word or sentence of the report."""
    return _WORDS[key].of(language)


def verdict_word(verdict: Verdict, language: Language) -> str:
    """A verdict, as said."""
    return VERDICTS[verdict].of(language)


def colon(language: Language) -> str:
    """What stands between a name and what is said of it."""
    return ": " if language == "en" else "："
