"""Random choices for the grammar, kept apart into a training side and a held-out side.

Every scenario is about two or more entities. Each couple of entities belongs for good to one of the two sides, so no
couple of names that a held-out sentence brings together is ever seen together in training.
"""

import random
import zlib
from collections.abc import Sequence
from typing import TypeVar

from attnflow.demo.lexicon import (
    DAYS,
    MEN,
    MONTHS,
    PLACES,
    RARE_MEN,
    RARE_PLACES,
    RARE_WOMEN,
    ROLES,
    WOMEN,
    Person,
)
from attnflow.demo.phrases import day_adjunct
from attnflow.demo.trees import Dependent

T = TypeVar("T")

T = TypeVar("T")

HELD_OUT_SHARE = 8
"""One couple in this many is held out."""
RARE_EVERY = 12
"""One name in this many is drawn from the rare ones."""


def is_held_out(first: str, second: str) -> bool:
    """Tell to which side a couple of entities belongs, whatever their order and the seed."""
    key = "|".join(sorted((first, second)))
    return zlib.crc32(key.encode()) % HELD_OUT_SHARE == 0


class Draw:
    """A seeded source of names, words and coin flips for one scenario.

    Args:
        seed: what makes the scenario; two draws of the same seed give the same answers to the same questions.
        held_out: whether couples come from the held-out side.
    """

    def __init__(self, seed: str, held_out: bool) -> None:
        self._rng = random.Random(seed)
        self._held_out = held_out

    def coin(self, chance: float = 0.5) -> bool:
        """Return true with the given chance."""
        return self._rng.random() < chance

    def one(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self._rng.randrange(len(options))]

    def several(self, options: Sequence[T], n: int) -> list[T]:
        """Return `n` different options in random order."""
        return self._rng.sample(options, n)

    def couple(self, options: Sequence[str]) -> list[str]:
        """Return two different words that belong together to the right side."""
        while True:
            chosen = self.several(options, 2)
            if is_held_out(*chosen) == self._held_out:
                return chosen

    def _person(self, gender: str) -> Person:
        rare = self._rng.randrange(RARE_EVERY) == 0
        if gender == "she":
            return self.one(RARE_WOMEN if rare else WOMEN)
        return self.one(RARE_MEN if rare else MEN)

    def people(self, genders: str | None = None) -> tuple[Person, Person]:
        """Return two different people; `genders="mixed"` gives a woman and a man in either order."""
        while True:
            kinds = [self.one(("she", "he")) for _ in range(2)]
            if genders == "mixed":
                kinds[1] = "he" if kinds[0] == "she" else "she"
            first, second = (self._person(kind) for kind in kinds)
            if first != second and is_held_out(first.name, second.name) == self._held_out:
                return first, second

    def person_with(self, word: str) -> Person:
        """Return a person who, together with `word`, belongs to the right side.

        Raises:
            ValueError: if all people belong to the other side, which a change of the lexicon can bring about.
        """
        people = (*WOMEN, *MEN, *(RARE_WOMEN + RARE_MEN if self._rng.randrange(RARE_EVERY) == 0 else ()))
        suited = [person for person in people if is_held_out(person.name, word) == self._held_out]
        if not suited:
            side = "held-out" if self._held_out else "training"
            raise ValueError(f"no person makes a couple with {word!r} on the {side} side; choose another word")
        return self.one(suited)

    def actors(self) -> tuple[str, str]:
        """Return two people by name, or (one time in four) two roles such as "nurse" and "pilot"."""
        if self.coin(0.25):
            first, second = self.couple(ROLES)
            return first, second
        first_person, second_person = self.people()
        return first_person.name, second_person.name

    def places(self, n: int = 2) -> list[str]:
        """Return `n` different invented places: the first two held out together, or no two of them."""
        while True:
            pool = PLACES + RARE_PLACES if self._rng.randrange(RARE_EVERY // 2) == 0 else PLACES
            chosen: list[str] = self.several(pool, n)
            if self._held_out:
                if is_held_out(*chosen[:2]):
                    return chosen
            elif not any(is_held_out(a, b) for i, a in enumerate(chosen) for b in chosen[:i]):
                return chosen

    def time(self) -> str:
        """Return a day or a month."""
        return self.one(DAYS if self.coin() else MONTHS)

    def maybe_time(self, chance: float = 0.25) -> list[Dependent]:
        """Return a time adjunct, or nothing."""
        word = self.one((*DAYS, *MONTHS, "yesterday"))
        return [day_adjunct(word)] if self.coin(chance) else []
