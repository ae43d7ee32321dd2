"""Opens a file of texts with coreference chains, whichever of three formats it has."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

from attnflow.corpus.chain_rows import GAP, gap_documents, json_documents
from attnflow.corpus.conll_rows import conll_documents
from attnflow.corpus.line_faults import opened
from attnflow.errors import TextsError
from attnflow.records.coreference import Document


def read_coreference(path: str | os.PathLike[str]) -> list[Document]:
    """Read texts with their coreference chains: CoNLL-2012, GAP, or JSON Lines as `assets/demo/pairs.jsonl` has them.

    CoNLL-2012: each part of a document is one; its text is its words with spaces between, brackets and stops without
    the escapes of OntoNotes. The head of a mention is that of the phrase of the parse column that has its very words,
    by the rules of Collins; where there is none, and in the other formats, it is the last word before a preposition, a
    relative word or a comma. What a mention is (pronoun, name, nominal; number, gender, person) is told by Penn's tags
    where there are some, else by pronouns, capital letters, titles and frequent names of English.

    Args:
        path: The file, in UTF-8.

    Returns:
        All texts in their order, those without a chain among them.

    Raises:
        TextsError: If the file cannot be read, no text has a chain of two mentions, or with the number of the first
            line that is wrong, and what it should be.

    Example:
        >>> for document in read_coreference("dev.v4_gold_conll"):  # doctest: +SKIP
        ...     print(document.guid, [[mention.words for mention in chain] for chain in document.chains])
    """
    name = os.fspath(path)
    with opened(name) as file:
        found = list(_documents(file))
    if not any(document.linked for document in found):
        raise TextsError(
            f"{name} has no text with a chain of two mentions; give CoNLL-2012, GAP, or JSON Lines with chains."
        )
    return found


def _documents(lines: Iterator[str]) -> Iterator[Document]:
    """The format is told by the first line."""
    head: list[str] = []
    for line in lines:
        head.append(line)
        if line.strip():
            break
    first, lines = "".join(head[-1:]), itertools.chain(head, lines)
    if first.lstrip().startswith("{"):
        return json_documents(lines)
    if set(GAP) <= {cell.strip() for cell in first.split("\t")}:
        return gap_documents(lines)
    return conll_documents(lines)
