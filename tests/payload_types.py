"""What `attnflow.views.payloads` says, as a check and as TypeScript, which `python -m tests.payload_types` writes."""

from __future__ import annotations

import ast
import inspect
import types
import typing
from typing import Any, Literal, Union

from attnflow.bundled import ASSETS
from attnflow.records.trace import Head
from attnflow.views import payloads

FILE = ASSETS / "page" / "payloads.d.ts"
PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", Any: "any"}
NAMED = {Head: "Head", payloads.Side: "Side"}


def typescript(kind: Any) -> str:
    """A Python type as TypeScript writes it."""
    if kind in NAMED:
        return NAMED[kind]
    return _written(kind)


def _written(kind: Any) -> str:
    if kind in PLAIN:
        return PLAIN[kind]
    if typing.is_typeddict(kind):
        return kind.__name__
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        element = typescript(inner[0])
        return f"({element})[]" if " | " in element else f"{element}[]"
    if origin is dict and inner[0] is str:
        return f"Record<string, {typescript(inner[1])}>"
    if origin is tuple:
        return f"[{', '.join(map(typescript, inner))}]"
    if origin is Literal:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in inner)
    if origin in (Union, types.UnionType):
        return " | ".join(map(typescript, inner))
    raise TypeError(f"{kind} cannot be sent to the page; use what JSON has")


def declarations() -> str:
    """The whole of `payloads.d.ts`."""
    lines = [
        "// Written from attnflow/views/payloads.py by `python -m tests.payload_types`; do not edit.",
        "",
        "/** A head as [layer, head], both from 0. */",
        f"export type Head = {_written(Head)};",
        "/** One of the two models. */",
        f"export type Side = {_written(payloads.Side)};",
    ]
    for kind in _records():
        told = _told(kind)
        lines += ["", f"/** {inspect.getdoc(kind)} */", f"export interface {kind.__name__} {{"]
        for name, (of, optional) in _fields(kind).items():
            if name in told:
                lines.append(f"  /** {told[name]} */")
            lines.append(f"  {name}{'?' * optional}: {typescript(of)};")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _records() -> list[Any]:
    """All payloads, in the order in which they are written."""
    return [kind for kind in vars(payloads).values() if typing.is_typeddict(kind)]


def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """For each name its type, and whether it may be left out; a class whose annotations are texts does not know."""
    optional = typing.get_type_hints(kind, include_extras=True)
    types_of = typing.get_type_hints(kind)
    return {name: (of, typing.get_origin(optional[name]) is typing.NotRequired) for name, of in types_of.items()}


def _told(kind: Any) -> dict[str, str]:
    """The text under each attribute."""
    (node,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def mismatch(value: Any, kind: Any, at: str = "value") -> str | None:
    """Where and how a value that is read from JSON is not of a type; None if it is."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return None
    if typing.is_typeddict(kind):
        return _mismatched_fields(value, kind, at)
    if origin in (Union, types.UnionType):
        found = [mismatch(value, one, at) for one in inner]
        return None if None in found else found[0]
    if origin is Literal:
        return None if any(value == one and type(value) is type(one) for one in inner) else f"{at} is {value!r}"
    if origin in (list, tuple) and isinstance(value, list):
        if origin is tuple and len(value) != len(inner):
            return f"{at} has {len(value)} entries, not {len(inner)}"
        kinds = inner if origin is tuple else inner * len(value)
        return _first(
            mismatch(one, of, f"{at}[{index}]") for index, (one, of) in enumerate(zip(value, kinds, strict=True))
        )
    if origin is dict and isinstance(value, dict):
        return _first(mismatch(one, inner[1], f"{at}.{name}") for name, one in value.items())
    accepted = (int, float) if kind is float else kind if isinstance(kind, type) else ()
    right = isinstance(value, accepted) and (kind is bool or not isinstance(value, bool))
    return None if right else f"{at} is {str(value)[:40]!r}, not {kind}"


def _mismatched_fields(value: Any, kind: Any, at: str) -> str | None:
    if not isinstance(value, dict):
        return f"{at} is {str(value)[:40]!r}, not {kind.__name__}"
    fields = _fields(kind)
    for name in value:
        if name not in fields:
            return f"{at} has {name!r}, which {kind.__name__} has not"
    for name, (_, optional) in fields.items():
        if name not in value and not optional:
            return f"{at} lacks {name!r} of {kind.__name__}"
    return _first(mismatch(one, fields[name][0], f"{at}.{name}") for name, one in value.items())


def _first(found: typing.Iterable[str | None]) -> str | None:
    return next((one for one in found if one), None)


if __name__ == "__main__":
    FILE.write_text(declarations(), encoding="utf-8")
