"""The teardown: how a connection ends."""

from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="teardown",
    chapter=Chapter.NETWORK,
    title=Text("The teardown: four segments, three, or one", "断开：四个报文段、三个，或一个"),
    question=Text(
        "How many segments does it take to end a connection, what can still be sent after one side has closed, and which states are gone through?",
        "结束一个连接要几个报文段？一端关闭之后还能发送什么？经过哪些状态？",
    ),
    claims={
        "n005": Claim(
            Text("A connection is closed with four waves.", "断开一个连接要挥四次手。"),
            "四次挥手",
        ),
        "n019": Claim(
            Text(
                "When the client closes, only its own direction ends; the server may still have data on the way.",
                "客户端关闭时只断了它发出的那个方向；服务端可能还有数据没送完。",
            ),
            "没有传送完毕",
        ),
        "n020": Claim(
            Text("That is why it has to be four every time.", "所以每次都必须是四次。"),
            "一定要四次",
        ),
    },
    words=(
        "teardown",
        "close",
        "shutdown",
        "fin",
        "rst",
        "四次挥手",
        "挥手",
        "time_wait",
        "close_wait",
        "half-close",
        "linger",
    ),
    reading=(
        Reading(
            "src/holdfast/lab/segments.py",
            Text("`closing`: which segments end a connection", "`closing`：哪些报文段结束了一个连接"),
        ),
        Reading(
            "src/holdfast/wire/link.py",
            Text(
                "`close`: Holdfast says its end in a message of its own, with the reason, which a FIN cannot tell",
                "`close`：Holdfast 用自己的一条消息说明结束和原因，这是 FIN 说不出来的",
            ),
        ),
    ),
)
