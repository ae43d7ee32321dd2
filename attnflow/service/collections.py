"""Collections of texts: opened, read by models and laid out for visitors, each once, within the limits of this machine.

What a visitor sent, or may read because of his token, is kept under the page that he has open (`Page`), given to no
other, and forgotten with it. Everything else is what anybody could have asked for, and shared.
"""

from __future__ import annotations

import importlib.util
import secrets
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus import survey_store
from attnflow.corpus.bounds import SERVER
from attnflow.corpus.gold import match_labels
from attnflow.corpus.orders import Difference, Order, likely_mislabelled, most_different
from attnflow.corpus.projection import Method, Projection, projection
from attnflow.corpus.survey import TooLong, survey, survey_settings
from attnflow.corpus.survey_files import open_survey
from attnflow.corpus.texts import BUNDLED, BUNDLED_TEXTS, open_published, open_sent
from attnflow.corpus.texts_file import open_saved_texts
from attnflow.errors import SelectionError
from attnflow.records.laid import Laid
from attnflow.records.survey import Survey, SurveySettings
from attnflow.records.texts import Texts
from attnflow.records.trace import Head, check_heads, is_whole
from attnflow.service import offered, visitors
from attnflow.service.case import open_checkpoint
from attnflow.service.deadline import within
from attnflow.service.long_work import giving_way
from attnflow.service.places import Places
from attnflow.service.uploads import uploads
from attnflow.service.workspace import workspace

Of = Literal["hidden", "behaviour"]
DIFFERENCES: tuple[Difference, ...] = ("decision", "influence", "graph")
"""By which two models are compared on every text."""
_OVERHEAD = 1_000
_Way = tuple[SurveySettings, ...]
"""What was read at one moment of a training after the other; the last is meant."""


class Page:
    """Stands for one open page: what is private to it is kept under its name and forgotten with it.

    A copy is another page, as the state of each session of Gradio is.
    """

    def __init__(self) -> None:
        self.name = secrets.token_hex(16)
        weakref.finalize(self, collections.forget, self.name)

    def __deepcopy__(self, memo: Any) -> Page:
        return Page()

    def close(self) -> None:
        """Forget what is private to it now."""
        collections.forget(self.name)


@dataclass(frozen=True)
class Asked:
    """Which texts are asked for."""

    source: str = BUNDLED
    """`demo/pairs`, a data set of the Hub, or what `offered` offers; not read where a file was sent."""
    name: str | None = None
    split: str | None = None
    revision: str | None = None
    columns: tuple[tuple[str, str | None], ...] = ()
    """What is to be read as `text_a`, `text_b`, `label` or `guid`; the rest is guessed."""
    rows: int = 200
    seed: int = 0
    sent: str = ""
    """What `uploads` calls the file that a visitor sent; nothing of this machine is ever opened."""

    @property
    def offered(self) -> bool:
        """Whether they come from a folder that the operator of this machine offers."""
        return not self.sent and self.source.startswith(offered.PREFIX)


@dataclass(frozen=True, eq=False)
class Opened:
    """Texts, and whose they are."""

    texts: Texts
    owner: str | None
    """The page that they are kept for; None if anybody may read them."""
    surveys: tuple[Survey, ...] = ()
    """What one model or two made of them, where that is known already: of a folder that is offered."""

    @property
    def nbytes(self) -> int:
        """Memory in bytes, about."""
        return sum(
            200
            + 2 * (len(text.text_a) + len(text.text_b or ""))
            + sum(100 + len(str(cell)) for cell in text.meta.values())
            + (0 if text.tree is None else 300 * len(text.tree))
            + (0 if text.document is None else 200 * len(text.document) + 800 * len(text.document.mentions))
            for text in self.texts
        )


class Collections:
    """Collections of texts and what was made of them, bounded in memory.

    Args:
        most_bytes: Memory for each of texts, surveys, and the rest.
        disk_bytes: Disk for surveys that anybody may read.
        places: Who computes now.
        most_seconds: Seconds after which one reading is ended.
    """

    def __init__(self, *, most_bytes: int, disk_bytes: int, places: Places, most_seconds: float) -> None:
        self._texts: BoundedCache[Opened] = BoundedCache(most_bytes // 4, lambda opened: opened.nbytes + _OVERHEAD)
        self._surveys: BoundedCache[Survey] = BoundedCache(most_bytes // 2, lambda found: found.nbytes + _OVERHEAD)
        self._layouts: BoundedCache[Laid] = BoundedCache(most_bytes // 8, lambda laid: laid.nbytes + _OVERHEAD)
        self._orders: BoundedCache[dict[str, Order]] = BoundedCache(
            most_bytes // 8, lambda orders: _OVERHEAD + sum(3 * order.column.nbytes for order in orders.values())
        )
        self._disk_bytes, self._places, self._most_seconds = disk_bytes, places, most_seconds

    def forget(self, owner: str) -> None:
        """Drop what is kept for a page alone."""
        uploads.forget(owner)
        for cache in (self._texts, self._surveys, self._layouts, self._orders):
            cache.forget(lambda key: cast("tuple[Hashable, ...]", key)[0] == owner)

    def open(self, asked: Asked, page: Page, *, anew: bool = False) -> Opened:
        """Open texts, or recall those that this page opened.

        Args:
            asked: Which.
            page: For whom.
            anew: Whether the source is asked again for what may have changed there.

        Raises:
            TextsError: If they cannot be found, reached or read, or there is no such file of this visitor.
            SelectionError: If an argument is out of range.
        """
        if asked.offered:
            return self._texts.get((None, asked, offered.surveys.version(asked.source)), lambda: _of_folder(asked))
        if not is_whole(asked.rows) or not 1 <= asked.rows <= limits.MAX_TEXTS:
            raise SelectionError(f"rows is {asked.rows!r}; give a whole number from 1 to {limits.MAX_TEXTS:,}.")
        bundled = not asked.sent and asked.source in BUNDLED_TEXTS
        key = (None if bundled else page.name, asked)
        if anew and not bundled:
            self._texts.forget(lambda known: known == key)

        def compute() -> Opened:
            with self._time():
                return self._open(asked, page)

        return self._texts.get(key, compute)

    def _open(self, asked: Asked, page: Page) -> Opened:
        token = visitors.own_token()
        columns = dict(asked.columns) or None
        told: dict[str, Any] = {"columns": columns, "rows": asked.rows, "seed": asked.seed, "bounds": SERVER}
        if asked.sent:
            sent = uploads.open(asked.sent, visitors.address(), page.name)
            return Opened(open_sent(sent.name, sent.data, **told), page.name)
        if asked.source not in BUNDLED_TEXTS:
            visitors.admit()
        where = {"name": asked.name or None, "split": asked.split or None, "revision": asked.revision or None}
        texts = open_published(asked.source, **where, token=token, **told)
        # With a token it may be that nobody else may read them; without one anybody may.
        return Opened(texts, page.name if token is not None and asked.source not in BUNDLED_TEXTS else None)

    def survey(
        self,
        opened: Opened,
        ref: str,
        *,
        pruned: Iterable[Head] = (),
        labels: Mapping[str, str | None] | None = None,
        too_long: TooLong = "cut",
        heads: bool = False,
    ) -> Survey:
        """Let a model read texts, or recall what it made of them.

        Args:
            opened: The texts.
            ref: A bundled reference or a Hub id, perhaps with `@` and a revision. Never a local path.
            pruned: Heads that are switched off.
            labels: The model's class by the label of the texts; those that name no class of this model are matched by
                name.
            too_long: What becomes of a text with more tokens than fit.
            heads: Whether mean attention and importance of every head are added up, too.

        Raises:
            AttnflowError: With one sentence for whatever is wrong with the texts or the checkpoint.
        """
        checkpoint = open_checkpoint(ref)
        own = checkpoint.head.labels if checkpoint.head.classifies_texts else ()
        mine = {label: name for label, name in (labels or {}).items() if name is None or name in own} if own else {}
        label_map = dict(match_labels(opened.texts, own, mine).classes) if decides(checkpoint) else {}
        settings = survey_settings(
            checkpoint,
            opened.texts,
            pruned=check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads) | checkpoint.pruned,
            label_map=label_map,
            too_long=too_long,
            max_tokens=limits.MAX_TOKENS,
            heads=heads,
        )
        public = opened.owner is None and visitors.own_token() is None

        def compute() -> Survey:
            visitors.admit()
            disk = self._disk_bytes if public else 0
            with (
                survey_store.keeping(settings, disk) as folder,
                self._time(),
                self._places.one(visitors.name(), long=True),
            ):
                return survey(
                    checkpoint,
                    opened.texts,
                    pruned=settings.pruned,
                    labels=mine if decides(checkpoint) else {},
                    too_long=too_long,
                    max_tokens=limits.MAX_TOKENS,
                    heads=heads,
                    out=folder,
                    progress=giving_way(),
                )

        found = self._surveys.get((opened.owner, settings), compute)
        return found if found.label_map == label_map else replace(found, label_map=label_map)

    def layout(
        self,
        opened: Opened,
        survey_: Survey,
        of: Of,
        layer: int,
        method: Method,
        *,
        after: Sequence[SurveySettings] = (),
        beside: Survey | None = None,
        beside_after: Sequence[SurveySettings] = (),
    ) -> Laid:
        """Lay texts out in the plane by the vectors of a layer, or by what the heads look at.

        It starts from the same layer at the moment of the training that was shown before, else from the nearest layer
        below that is laid out already, or, for the first of a model, from the layout of the other model, so that points
        move little from one to the next. A layout of another way through the moments is another layout.

        Args:
            opened: The texts.
            survey_: What a model made of them.
            of: Vectors of the root, or behaviour.
            layer: Of the vectors, 0 to L.
            method: `pca`, `tsne` or `umap`.
            after: Moments of the training of this model by which one came to it, the one before last.
            beside: What the other model made of them.
            beside_after: The moments by which one came to that.

        Raises:
            SelectionError: If there is no such layer or method, or there are too few texts.
        """
        if of not in get_args(Of) or method not in methods():
            raise SelectionError(f"There is no layout of {of!r} by {method!r}; choose {', '.join(methods())}.")
        depth, layer = survey_.settings.n_layers, 0 if of == "behaviour" else layer
        way = (*after, survey_.settings)
        if not is_whole(layer) or not 0 <= layer <= depth:
            raise SelectionError(f"There is no layer {layer!r}; choose one from 0 to {depth}.")

        def compute() -> Laid:
            rows = survey_.usable
            other = () if beside is None else (*beside_after, beside.settings)
            start, begun = self._start(opened, way, of, layer, method, other)
            if start is not None and not np.isfinite(start[rows]).all():
                start, begun = None, ""
            vectors = survey_.hidden[layer] if of == "hidden" else survey_.behaviour
            visitors.admit()
            with self._time(), self._places.one(visitors.name(), long=method != "pca" and len(survey_) > 1_000):
                found = projection(vectors[rows], method=method, start=None if start is None else start[rows])
            return _laid(found, rows, " ".join(filter(None, (begun, _passing(survey_, of, layer)))))

        return self._layouts.get(_layout_key(opened, way, of, layer, method), compute)

    def _start(
        self, opened: Opened, way: _Way, of: Of, layer: int, method: Method, other: _Way
    ) -> tuple[NDArray[np.float32] | None, str]:
        for before in range(len(way) - 1, 0, -1):
            known = self._layouts.find(_layout_key(opened, way[:before], of, layer, method))
            if known is not None:
                return known.points, "Started from the layout of the moment before."
        for lower in range(layer - 1, -1, -1):
            known = self._layouts.find(_layout_key(opened, way, of, lower, method))
            if known is not None:
                return known.points, f"Started from the layout of layer {lower}."
        if other:
            same = 0 if of == "behaviour" else max(0, layer - way[-1].n_layers + other[-1].n_layers)
            known = self._layouts.find(_layout_key(opened, other, of, same, method))
            if known is not None:
                return known.points, "Started from the layout of the other model."
        return None, ""

    def orders(self, opened: Opened, surveys: Sequence[Survey]) -> dict[str, Order]:
        """The orders that can be told of what one model or two made of texts: by `DIFFERENCES`, and mislabelled."""
        maps = tuple(tuple(sorted(one.label_map.items())) for one in surveys)

        def compute() -> dict[str, Order]:
            found: dict[str, Order] = {}
            with self._time(), self._places.one(visitors.name()):
                for by in DIFFERENCES if len(surveys) == 2 else ():
                    _if_defined(found, by, lambda by=by: most_different(surveys[0], surveys[1], by))
                sure = [one for one in surveys if one.has_classes and one.known.any()]
                _if_defined(found, "mislabelled", lambda: likely_mislabelled(*sure))
            return found

        return self._orders.get((opened.owner, tuple(one.settings for one in surveys), maps), compute)

    def _time(self) -> AbstractContextManager[None]:
        """End what takes too long, or what nobody waits for any more."""
        advice = "ask again, and what was read of a public collection goes on, or ask for fewer rows"
        return within(self._most_seconds, "one reading", advice)


def _passing(survey_: Survey, of: Of, layer: int) -> str:
    """What the vectors of a layer are where the root takes no part in it."""
    if of == "behaviour" or survey_.stacks is None or layer > survey_.stacks.n_encoder:
        return ""
    return f"Up to layer {survey_.stacks.n_encoder}, the encoder's, stands the embedding of the decoder's token."


def _of_folder(asked: Asked) -> Opened:
    """Texts and surveys of a folder that is offered, which `attnflow survey` wrote."""
    place = offered.surveys.folder(asked.source)
    texts = replace(open_saved_texts(place / "texts.parquet", limits.MAX_TEXTS), source=asked.source)
    found = tuple(open_survey(place / side) for side in "ab" if (place / side).is_dir())
    if not found or any(one.settings.texts != texts.fingerprint for one in found):
        raise SelectionError(f"{asked.source} holds surveys of other texts, or none; survey these texts anew.")
    return Opened(texts, None, found)


def decides(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint decides between classes."""
    return checkpoint.head.classifies_texts and checkpoint.head.problem != "regression"


def methods() -> tuple[Method, ...]:
    """The layouts that are installed."""
    installed: list[Method] = ["pca", "tsne"]
    return (*installed, "umap") if importlib.util.find_spec("umap") else tuple(installed)


def _if_defined(found: dict[str, Order], name: str, compute: Callable[[], Order]) -> None:
    try:
        found[name] = compute()
    except SelectionError:  # models of other classes, or without any
        return


def _layout_key(opened: Opened, way: _Way, of: Of, layer: int, method: Method) -> Hashable:
    return opened.owner, way, of, layer, method


def _laid(found: Projection, rows: NDArray[np.bool_], note: str) -> Laid:
    points = np.full((len(rows), 2), np.nan, np.float32)
    preserved = np.full(len(rows), np.nan, np.float32)
    points[rows], preserved[rows] = found.points, found.preserved
    return Laid(points, preserved, found.trustworthiness, found.continuity, found.neighbours, note)


collections = Collections(
    most_bytes=limits.COLLECTION_CACHE_BYTES,
    disk_bytes=limits.SURVEY_DISK_BYTES,
    places=workspace.places,
    most_seconds=limits.MAX_SURVEY_SECONDS,
)
"""Those of the app: page and endpoints share them."""
