"""Finds a split of a data set of the Hub, and reads it at one commit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attnflow.checkpoints.references import Reference
from attnflow.corpus import hub_files, layout
from attnflow.corpus.bounds import Budget
from attnflow.corpus.files import KNOWN, Part, format_of, read_parts
from attnflow.corpus.table import Table
from attnflow.errors import TextsError


@dataclass(frozen=True)
class Published:
    """A split of a data set, found but not yet read."""

    repository: hub_files.Repository
    chosen: layout.Chosen
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Data set, commit, configuration and split."""
        return f"{self.repository.repo_id}@{self.repository.sha} ({self.chosen.name}, {self.chosen.split})"

    def read(self, budget: Budget, seed: int) -> Table:
        """Its rows, of as much of it as may be read.

        Raises:
            TextsError: If it cannot be reached or is broken.
        """
        repository, chosen = self.repository, self.chosen
        parquet = format_of(chosen.files[0]) == "parquet"
        opened = repository.open_anywhere if parquet else repository.open
        parts = [Part(file, lambda file=file: opened(file)) for file in chosen.files]
        table = read_parts(parts, f"{repository.repo_id} ({chosen.name}, {chosen.split})", budget, seed)
        return replace(
            table,
            classes={**chosen.classes, **table.classes},
            total=chosen.total if table.total is None else table.total,
            notes=(*self.notes, *table.notes),
        )


def read_published(reference: Reference, name: str | None, split: str | None, token: str | None) -> Published:
    """Find a split of a data set of the Hub.

    Args:
        reference: What was asked for.
        name: Configuration; see `layout.choose`.
        split: Split.
        token: Access token of the person who asks.

    Raises:
        TextsError: If the data set cannot be found or reached, or has no file that can be read here.
        SelectionError: If there is no such configuration or split.
    """
    repository = hub_files.locate(reference, token)
    repo = repository.repo_id
    chosen = layout.choose(repository.files, layout.read_card(repository.card()), repo, name, split)
    if chosen is not None:
        return Published(repository, chosen)
    script = f"{repo.split('/')[-1]}.py" in repository.files
    converted = hub_files.locate_converted(repository) if reference.revision is None else None
    if converted is not None:
        chosen = layout.choose_converted(converted.files, repo, name, split)
    if converted is None or chosen is None:
        if script:
            raise TextsError(
                f"{repo} is read by a script of its own, and no code of a data set is run here; choose a data set that "
                f"has its rows in files ({KNOWN})."
            )
        raise TextsError(f"{repo} has no file that can be read here; choose a data set with files of {KNOWN}.")
    note = f"Read from the Parquet files that the Hub made of the data set ({hub_files.CONVERTED})."
    return Published(converted, chosen, (note,))
