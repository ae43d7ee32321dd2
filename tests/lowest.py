"""The lowest versions that the package declares, as pip reads them; `make lowest` installs them and runs some tests."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def project() -> dict[str, Any]:
    """The section `[project]`."""
    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]


def declared() -> list[Requirement]:
    """What the page needs: the requirements of the package and of its extras `web` and `texts`."""
    extras = project()["optional-dependencies"]
    return [Requirement(text) for text in [*project()["dependencies"], *extras["web"], *extras["texts"]]]


def lowest(requirement: Requirement) -> str:
    """The requirement at its lowest version."""
    (version,) = [part.version for part in requirement.specifier if part.operator == ">="]
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}=={version}"


if __name__ == "__main__":
    print("\n".join(lowest(requirement) for requirement in declared()))
