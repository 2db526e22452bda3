"""S30: secrets are compared in constant time, and a wrong one costs the same whether or not anybody has it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.security.sources import calls, modules

SECRET = re.compile(r"(^|_)(secret|mac|proof|hmac|password|token)s?($|_)")


def compared(path: str, tree: ast.Module) -> list[str]:
    """Comparisons with ``==`` or ``!=`` or ``in`` of something that is called a secret."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in node.ops
        ):
            for side in (node.left, *node.comparators):
                name = side.attr if isinstance(side, ast.Attribute) else side.id if isinstance(side, ast.Name) else ""
                if SECRET.search(name):
                    found.append(f"{path}:{node.lineno}: {name}")
    return found


def test_s30_no_secret_is_compared_byte_by_byte() -> None:
    assert [fault for path, tree in modules() for fault in compared(path, tree)] == []


@pytest.mark.parametrize("code", ["step.mac == mine", "a != secret", "client_proof in seen", "if token == x: pass"])
def test_s30_the_check_sees_a_comparison(code: str) -> None:
    assert compared("wire/x.py", ast.parse(code))


def test_s30_the_enrolment_compares_with_compare_digest_for_known_and_unknown_invitations_alike() -> None:
    """The work for an unknown invitation: one HMAC with another secret, in the same expression."""
    tree = dict(modules())["wire/enrol.py"]
    comparisons = [call for name, call in calls(tree) if name == "hmac.compare_digest"]
    assert len(comparisons) >= 3
    in_server = [call for call in comparisons if "or" in ast.unparse(call)]
    assert len(in_server) == 1, "the agent computes a MAC whether or not it knows the invitation"
