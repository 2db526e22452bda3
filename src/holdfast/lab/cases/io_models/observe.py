"""Loads every server, brings the notes' own ones together with rude clients, and looks at single calls."""

from __future__ import annotations

import resource

from holdfast.lab import serving
from holdfast.lab.cases.io_models import contest, manners, turns, waiting
from holdfast.lab.cases.io_models.data import Data
from holdfast.lab.cases.io_models.posix_aio import posix_aio
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab


def observe(lab: Lab) -> Data:
    """Single calls, the notes' servers, then the contest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    missing = {model: why for model in serving.MODELS if (why := serving.available(model))}
    models = tuple(model for model in serving.MODELS if model not in missing)
    for model in missing:
        lab.lacks(model, Text("its servers were not tried", "没有试它的服务端"))
    waits = waiting.waits((10, 100, 400))
    blocking, sending = waiting.blocking(), waiting.sending()
    completion, aio, signalled = waiting.completion(), posix_aio(), waiting.signalled()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    lab.say("the notes' servers and their clients")
    met = manners.meetings(lab)
    in_turn = turns.turns()
    lab.say("servers under load")
    floor = contest.cell(lab, contest.Try(contest.FLOOR, 100, 100))
    cells = []
    for trial in contest.grid(models, quick=lab.quick):
        cells.append(contest.cell(lab, trial))
        if not lab.quick:
            lab.say(f"{trial.model}, {trial.connections} connections, {trial.active} active")
    asking = [each.idle_cpu for each in cells if each.model == "polling" and each.connections == 100]
    return Data(
        models=models,
        missing=missing,
        cells=tuple(cells),
        floor=floor,
        turns=in_turn,
        meetings=met,
        waits=waits,
        blocking=blocking,
        sending=sending,
        completion=completion,
        posix_aio=aio,
        signalled=signalled,
        descriptors=hard,
        asking_cpu=max(asking, default=0.0),
    )
