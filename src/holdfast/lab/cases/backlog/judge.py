"""What the observations say of the claim. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.lab.cases.backlog.data import Crowd, Data
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Ruling, confirmed, refined, refuted

_LINUX: Final = Text("Linux, and its setting of SYN cookies", "Linux，以及它的 SYN cookie 设置")


def of_number(crowds: tuple[Crowd, ...], number: int) -> Crowd:
    """The crowd that met this number; the last one if none did."""
    return next((crowd for crowd in crowds if crowd.number == number), crowds[-1])


def bounded(crowds: tuple[Crowd, ...], counted: Callable[[Crowd], int]) -> bool:
    """Whether what is counted is never more than one above the number, though more came, and grows with it."""
    counts = [counted(crowd) for crowd in crowds]
    return all(counted(crowd) <= crowd.number + 1 < crowd.came for crowd in crowds) and counts[0] < counts[-1]


def _n001(data: Data) -> Ruling:
    finished, half = of_number(data.finished, data.kept_number), of_number(data.half_open, data.kept_number)
    number = data.kept_number
    if data.kept <= number + 1:
        return refuted(
            f"With {number} no more than {data.kept} connections were open at once: it does limit connections.",
            f"给 {number} 时同时打开的连接不超过 {data.kept} 个：它限制的就是连接数。",
        )
    waiting_bounded = bounded(data.finished, lambda crowd: crowd.accepted)
    half_bounded = bounded(data.half_open, lambda crowd: crowd.half_open)
    if waiting_bounded:
        half_en, half_zh = _half(data, half, half_bounded)
        return refined(
            f"Not connections, right: with {number} there were {data.kept} open at once. But what waits in it is finished, not half-open: of {finished.came} "
            f"clients {finished.waiting} were ESTABLISHED on both sides and waited, `accept` gave {finished.accepted}, and {finished.unanswered} got no answer "
            f"at all.{half_en}",
            f"限制的不是连接数，没错：给 {number} 时同时打开着 {data.kept} 个。但在里面等的是已完成的连接，不是半连接：{finished.came} 个客户端中 "
            f"{finished.waiting} 个两端都已 ESTABLISHED、在等待，`accept` 取出 {finished.accepted} 个，{finished.unanswered} 个根本没有得到回答。{half_zh}",
            depends_on=_LINUX,
        )
    if half_bounded:
        return confirmed(
            f"With {number} at most {half.half_open} were half-open, {finished.accepted} of {finished.came} finished ones could wait, and {data.kept} were open at once.",
            f"给 {number} 时半连接最多 {half.half_open} 个，已完成的 {finished.came} 个中有 {finished.accepted} 个能等待，同时打开 {data.kept} 个。",
        )
    return refuted(
        f"It limited neither: with {number}, {finished.accepted} of {finished.came} waited and {half.half_open} of {half.came} were half-open.",
        f"它两样都没有限制：给 {number} 时，{finished.came} 个中有 {finished.accepted} 个在等，{half.came} 个中有 {half.half_open} 个半连接。",
    )


def _half(data: Data, half: Crowd, bounded_too: bool) -> tuple[str, str]:
    """What is to be said of the queue of half-open ones."""
    if not bounded_too:
        return (
            f" The half-open ones have a queue of their own ({half.half_open} were in it, SYN cookies: {_setting(half)}).",
            f"半连接另有自己的队列（当时有 {half.half_open} 个，SYN cookie：{_setting(half)}）。",
        )
    en = f" The half-open ones have a queue of their own, which the same number limits: {half.half_open} of {half.came} were in it."
    zh = f"半连接另有自己的队列，受同一个数字限制：{half.came} 个中有 {half.half_open} 个在里面。"
    if data.cookies is not None and data.cookies.accepted + data.cookies.half_open > data.cookies.number + 1:
        en += f" SYN cookies let {data.cookies.accepted} more by, straight to the finished ones."
        zh += f"SYN cookie 又放过去 {data.cookies.accepted} 个，直接进了已完成队列。"
    return en, zh


def _setting(crowd: Crowd) -> str:
    return "?" if crowd.cookies is None else str(crowd.cookies)


JUDGES: Final[Mapping[str, Callable[[Data], Ruling]]] = {"n001": _n001}
