"""Small repositories whose tokenizer does harm: eats memory or time, makes millions of pieces, or panics.

Each function copies a checkpoint into a folder, spoils its tokenizer and returns the folder. What they do harm to holds
the letter `q`; no other text is touched, so that the tokenizer can be read and also used as it should be.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

HARMLESS = "Anna met Paul."


def _spoiled(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    shutil.copytree(source, target)
    tokenizer = json.loads((target / "tokenizer.json").read_text())
    change(tokenizer)
    (target / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((target / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # which takes tokenizer.json as it is
    (target / "tokenizer_config.json").write_text(json.dumps(settings))
    return target


def _replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def doubles(source: Path, target: Path, letter: str = "q", times: int = 40) -> Path:
    """A letter becomes 2^40 of them."""
    twice = [_replace(letter, 2 * letter)] * times
    return _spoiled(source, target, lambda made: made.update(normalizer={"type": "Sequence", "normalizers": twice}))


def backtracks(source: Path, target: Path) -> Path:
    """A pattern that takes 10^10 steps over 2,500 letters, but never as many from one place as the library refuses."""
    return _spoiled(source, target, lambda made: made.update(pre_tokenizer=_split(r"q*q*\d")))


def expands(source: Path, target: Path) -> Path:
    """A letter becomes 10,000 pieces."""
    return _spoiled(source, target, lambda made: made.update(normalizer=_replace("q", "q. " * 5_000)))


TEMPLATES = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "doubles": "{% set a = namespace(q='q') %}{% for i in range(40) %}{% set a.q = a.q + a.q %}{% endfor %}",
    "multiplies": "{{ 'q' * 10 ** 9 }}",
    "pads": "{{ '%*d' % (10 ** 9, 1) }}",
    "writes": "{{ messages[0].content }}{{ 'q' * 150000 }}",
    "recurs": "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages[0].content }}",
    "globals": "{{ cycler.__init__.__globals__.os.system('touch ' + messages[0].content) }}",
    "formats": "{{ '{0.__class__.__mro__}'.format(messages) }}{{ messages[0].content }}",
    "maps": "{{ messages | map(attribute='__class__') | list }}",
    "includes": "{% include '/etc/passwd' %}{{ messages[0].content }}",
    "imports": "{% import '/etc/passwd' as it %}{{ messages[0].content }}",
    "changes": "{{ messages.append(messages[0]) }}{{ messages[0].content }}",
    "raises": "{{ raise_exception('Roles must\nalternate') }}",
    "broken": "{% for %}",
    "forgets": "Hello.",
    "repeats": "{{ messages[0].content }} {{ messages[0].content }}",
    "shouts": "{{ messages[0].content | upper }}",
    "knows": "{{ 'q' if 'attnflow' in messages[0].content else '' }}{{ messages[0].content }}",
}
"""Chat templates that do harm, or do not write the text as it is."""


def chats(source: Path, target: Path, template: str) -> Path:
    """A checkpoint with one of these chat templates."""
    shutil.copytree(source, target)
    (target / "chat_template.jinja").write_text(TEMPLATES[template])
    return target


def panics(source: Path, target: Path) -> Path:
    """A pattern that the library gives up, with a panic of its Rust code."""
    return _spoiled(source, target, lambda made: made.update(pre_tokenizer=_split("(q+)+$")))


def is_large(source: Path, target: Path, entries: int = 200_000) -> Path:
    """A vocabulary of many entries."""

    def enlarge(made: dict[str, Any]) -> None:
        vocabulary = made["model"]["vocab"]
        vocabulary |= {f"qq{number:x}": len(vocabulary) + number for number in range(entries)}

    return _spoiled(source, target, enlarge)
