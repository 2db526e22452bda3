"""The generated parts of docs/reference/python.md, made from the public names of the package and their docstrings."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from enum import EnumMeta
from typing import Any

import msgspec

import holdfast
from holdfast.client import calls
from tools import docstrings

WIDEST = 100
ORDER = ("connect", "Host", "Job", "Stdin", "Completed")
"""What a reader needs first; the other names follow by the alphabet."""
LATER = ("queue.ShutDown",)
"""Bases that newer versions of Python alone have: left out, so that the page is the same on all."""


def public_names() -> list[str]:
    """The public names that are no errors and no modules, in the order of the page."""
    names = [name for name in holdfast.__all__ if not is_error(getattr(holdfast, name)) and name != "aio"]
    return [*ORDER, *sorted(set(names) - set(ORDER))]


def is_error(value: object) -> bool:
    """Whether this public name is an exception."""
    return isinstance(value, type) and issubclass(value, BaseException)


def render() -> str:
    """One section for each public name."""
    text = "\n\n".join(section for name in public_names() for section in _sections(name, getattr(holdfast, name)))
    return text.replace("See `calls.run_request`", "See [below](#options-of-run-and-start)")


def render_errors() -> str:
    """The error tree as a table: name, what it is a kind of, whether the command ran, when it is raised."""
    errors = {name: getattr(holdfast, name) for name in holdfast.__all__ if is_error(getattr(holdfast, name))}
    rows = ["| Error | Is a | `ran` | Meaning |", "|---|---|---|---|"]
    for name, error in sorted(errors.items(), key=lambda item: _lineage(item[1])):
        bases = ", ".join(f"`{_base_name(base)}`" for base in error.__bases__ if _base_name(base) not in LATER)
        attributes = docstrings.entries(docstrings.parse(error).sections.get("Attributes", []))
        extra = "".join(f"; `.{attribute}`" for attribute in attributes if attribute != "ran")
        meaning = docstrings.markdown(docstrings.parse(error).first_sentence)
        rows.append(f"| `{name}` | {bases} | {error.ran} | {meaning}{extra} |")
    return "\n".join(rows)


def render_options() -> str:
    """The keyword arguments that ``run`` and ``start`` share."""
    described = docstrings.entries(docstrings.parse(calls.run_request).sections["Args"])
    defaults = inspect.signature(calls.run_request).parameters
    rows = ["| Argument | Default | Meaning |", "|---|---|---|"]
    for name in _job_options():
        meaning = docstrings.markdown(described[name]).replace("|", "\\|")
        rows.append(f"| `{name}` | `{defaults[name].default!r}` | {meaning} |")
    return "\n".join(rows)


def _lineage(error: type) -> list[str]:
    """From the root down to the error itself, the same on every Python."""
    return [kind.__name__ for kind in reversed(error.__mro__) if _base_name(kind) not in LATER]


def _base_name(base: type) -> str:
    return (
        base.__name__ if base.__module__.startswith(("holdfast", "builtins")) else f"{base.__module__}.{base.__name__}"
    )


def _job_options() -> list[str]:
    """Names of the options; the type that lists them exists for type checkers only."""
    tree = ast.parse(inspect.getsource(calls))
    options = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == "JobOptions")
    return [ast.unparse(node.target) for node in options.body if isinstance(node, ast.AnnAssign)]


def _sections(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, EnumMeta):
        members = ", ".join(f"`{member.value}`" for member in value)  # type: ignore[var-annotated]
        yield f"### {name}\n\n{docstrings.render(value)}\n\nValues: {members}."
    elif isinstance(value, type) and issubclass(value, msgspec.Struct):
        yield f"### {name}\n\n{docstrings.render(value)}\n\n{_fields(value)}"
        yield from _members(name, value)
    elif isinstance(value, type):
        yield f"### {name}\n\n{docstrings.render(value)}"
        yield from _members(name, value)
    else:
        yield f"### {name}\n\n{_signature(name, value)}\n\n{docstrings.render(value)}"


def _fields(value: type[msgspec.Struct]) -> str:
    rows = ["| Field | Type |", "|---|---|"]
    kinds = {
        name: kind for base in reversed(value.__mro__) for name, kind in vars(base).get("__annotations__", {}).items()
    }
    rows += [f"| `{field}` | `{kinds[field]}` |".replace(" | None", " \\| None") for field in value.__struct_fields__]
    return "\n".join(rows)


def _members(owner: str, value: type) -> Iterator[str]:
    """Public methods and properties, those of private bases of ours included, each once."""
    seen = set()
    for base in value.__mro__:
        if not base.__module__.startswith("holdfast"):
            continue
        for name, member in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
            if isinstance(function, property):
                yield f"#### {owner}.{name}\n\n{docstrings.render(function)}"
            elif inspect.isfunction(function) and not isinstance(member, classmethod):
                yield f"#### {owner}.{name}()\n\n{_signature(name, function)}\n\n{docstrings.render(function)}"
            else:
                continue
            seen.add(name)


def _signature(name: str, function: Any) -> str:
    """The signature as it stands in the source, without ``self``, on one line if it is short."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    for arguments in (node.args.args, node.args.posonlyargs):
        arguments[:] = [argument for argument in arguments if argument.arg != "self"]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{name}({ast.unparse(node.args)}){returns}"
    if len(line) > WIDEST:
        line = f"{name}(\n{''.join(f'    {argument},{chr(10)}' for argument in _arguments(node.args))}){returns}"
    return f"```text\n{line}\n```"


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    """Each argument with type and default, one by one."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(plain, defaults, strict=True):
        yield _argument(argument, default)
    if arguments.vararg or arguments.kwonlyargs:
        yield "*" + (ast.unparse(arguments.vararg) if arguments.vararg else "")
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(argument, default)
    if arguments.kwarg:
        yield f"**{ast.unparse(arguments.kwarg)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text}{' = ' if argument.annotation else '='}{ast.unparse(default)}"
