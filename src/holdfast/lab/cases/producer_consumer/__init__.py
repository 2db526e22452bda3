"""Producers, consumers, and what stands between them."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="producer-consumer",
    chapter=Chapter.PROCESSES,
    title=Text("The bun shop: producers and consumers", "包子铺：生产者与消费者"),
    question=Text(
        "What does a queue between those who make and those who use bring, how do they end, and what if one of them dies?",
        "在生产的和使用的之间放一个队列有什么好处？怎样收场？其中一个死了又会怎样？",
    ),
    claims={
        "n079": Claim(
            Text(
                "Producers, something shared, consumers: they need not know each other, their speeds are balanced, and all of it is faster.",
                "生产者、共享介质、消费者：互不依赖，能力平衡，整体更快。",
            ),
            "解耦和, 平衡",
        ),
        "n080": Claim(
            Text(
                "A bun shop: ten buns are made and eaten, and `None` ends it.",
                "包子铺：生产并吃掉十个包子，用 `None` 结束。",
            ),
            "包子",
        ),
        "n081": Claim(
            Text("Each line is printed in a colour, which is put off at its end.", "每一行带颜色打印，行末恢复。"),
            "\\033[45m … [0m",
        ),
    },
    words=(
        "producer",
        "consumer",
        "producer consumer",
        "bun",
        "buns",
        "包子",
        "生产者",
        "消费者",
        "sentinel",
        "joinablequeue",
        "back-pressure",
        "解耦",
    ),
    programs=(
        Program(
            (14,),
            "p14",
            Text("Ten buns, one baker, one guest", "十个包子，一个做，一个吃"),
            Text(
                "one None ends one guest only, nothing bounds the counter, and the colour is never put off",
                "一个 None 只能结束一个消费者；柜台没有上限；颜色永不恢复",
            ),
        ),
    ),
    reading=(
        Reading(
            "src/holdfast/coordination/queueing.py",
            Text(
                "Holdfast's queue, which gives an item again if its taker dies",
                "Holdfast 的队列：取走的人死了，就把东西再交给别人",
            ),
        ),
        Reading(
            "docs/howto/durable-queue.md", Text("hand work to others, and lose none of it", "把活交给别人而一件不丢")
        ),
    ),
)
