"""The recovery table over every combination of findings: total, and never unsafe."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import get_args

import pytest

from holdfast.jobs.recovery import RULES, STARTS, Action, Finding, KeeperSays, RowIs, decide

FLAGS = ("claim", "started", "main", "exit", "damaged", "shim_alive", "tree_alive", "same_boot", "power")


def every_finding() -> Iterator[Finding]:
    for row in get_args(RowIs):
        for keeper in get_args(KeeperSays):
            for values in itertools.product((False, True), repeat=len(FLAGS)):
                yield Finding(row=row, keeper=keeper, **dict(zip(FLAGS, values, strict=True)))


def test_it_is_total_and_never_unsafe() -> None:
    """3 x 4 x 512 findings: each has an action, and the rules of the room hold for each."""
    used = set()
    for finding in every_finding():
        action = decide(finding)
        used.add(action)
        starts = action in STARTS
        known = finding.row == "unfinished"
        assert (action is Action.QUARANTINE) == (finding.row == "none"), finding
        assert (action is Action.FORGET) == (finding.row == "done"), finding
        if not known:
            continue
        if finding.started or finding.main or finding.exit:
            assert not starts, f"it may have run: {finding}"
        if finding.damaged:
            assert not starts, f"a broken record proves nothing: {finding}"
            assert action in (Action.DAMAGED, Action.ATTACH, Action.AWAIT_KEEPER), finding
        if finding.exit and not finding.damaged:
            assert action is Action.TAKE_RESULT, finding
        if finding.claim and starts:
            assert action is Action.START_AGAIN, finding
            assert finding.keeper == "nothing_inherited", finding
        if starts and finding.same_boot:
            assert not finding.shim_alive, f"two shims would have it: {finding}"
            assert not finding.tree_alive, f"it may run already: {finding}"
            assert finding.keeper != "adopted", finding
        if starts and not finding.same_boot:
            assert finding.power, f"nothing was flushed: {finding}"
            assert not finding.claim, finding
        if not finding.same_boot:
            assert action not in (Action.ATTACH, Action.AWAIT_KEEPER, Action.WATCH_PID), finding
        if action is Action.TAKE_MAIN:
            assert finding.main, f"a status is never made up: {finding}"
        if action is Action.LOST_SUPERVISOR:
            assert finding.keeper in ("gone", "nothing_inherited") or not finding.claim, f"the keeper knows: {finding}"
    assert used == set(Action), "every action is the answer to something"


def test_no_rule_is_dead() -> None:
    deciding = {next(index for index, rule in enumerate(RULES) if rule.fits(finding)) for finding in every_finding()}
    assert deciding == set(range(len(RULES)))


def test_conditions_name_what_a_finding_has() -> None:
    for rule in RULES:
        assert set(rule.when) <= set(Finding.__struct_fields__)
        assert rule.why


@pytest.mark.parametrize(
    ("finding", "action"),
    [
        (Finding(), Action.REQUEUE),
        (Finding(keeper="gone"), Action.REQUEUE),
        (Finding(shim_alive=True), Action.ATTACH),
        (Finding(claim=True, shim_alive=True), Action.ATTACH),
        (Finding(claim=True, started=True, shim_alive=True, tree_alive=True), Action.ATTACH),
        (Finding(claim=True), Action.AWAIT_KEEPER),
        (Finding(claim=True, keeper="nothing_inherited"), Action.START_AGAIN),
        (Finding(claim=True, keeper="gone"), Action.LOST_SUPERVISOR),
        (Finding(claim=True, started=True, keeper="adopted", tree_alive=True), Action.AWAIT_KEEPER),
        (Finding(claim=True, started=True, keeper="gone", tree_alive=True), Action.WATCH_PID),
        (Finding(claim=True, started=True, keeper="gone"), Action.LOST_SUPERVISOR),
        (Finding(claim=True, started=True, main=True, keeper="gone"), Action.TAKE_MAIN),
        (Finding(claim=True, started=True, main=True, exit=True, keeper="gone"), Action.TAKE_RESULT),
        (Finding(claim=True, started=True, exit=True, same_boot=False), Action.TAKE_RESULT),
        (Finding(claim=True, started=True, same_boot=False), Action.LOST_HOST_RESTART),
        (Finding(same_boot=False), Action.LOST_HOST_RESTART),
        (Finding(same_boot=False, power=True), Action.REQUEUE),
        (Finding(same_boot=False, power=True, claim=True), Action.LOST_HOST_RESTART),
        (Finding(claim=True, damaged=True, keeper="gone"), Action.DAMAGED),
        (Finding(row="none", exit=True), Action.QUARANTINE),
        (Finding(row="done", exit=True, shim_alive=True), Action.FORGET),
    ],
)
def test_known_cases(finding: Finding, action: Action) -> None:
    assert decide(finding) is action
