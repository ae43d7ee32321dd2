"""The published endpoints say of each argument what its analysis says, and say it once."""

from __future__ import annotations

import inspect
import re

import pytest

from attnflow.service.analyses import attribution, heads, saliency
from attnflow.service.analyses.common import HEAD, LAYER
from attnflow.web.endpoints import ENDPOINTS
from attnflow.web.endpoints.checks import documentation, endpoint

ANALYSES = (attribution.CONTRIBUTIONS, saliency.SALIENCY, saliency.REPORT, heads.IMPORTANCE, heads.CURVE)
PARAMETERS = [LAYER, HEAD, *(parameter for analysis in ANALYSES for parameter in analysis.parameters)]
OTHERWISE = {
    *{("attention_vs_attribution", "probes"), ("compare_saliency", "target")},
    *{("projection", "layer"), ("projection", "method"), ("compare_texts", "order"), ("data_map", "order")},
}
"""Arguments that mean something else than the parameter of that name: an estimate by default, a class of both, and what
is of many texts."""


@pytest.mark.parametrize("published", ENDPOINTS, ids=lambda function: function.__name__)
def test_what_belongs_to_an_analysis_is_described_there_alone(published):
    written = inspect.getsource(inspect.unwrap(published))
    for name, parameter in inspect.signature(inspect.unwrap(published)).parameters.items():
        if name in {one.name for one in PARAMETERS} and (published.__name__, name) not in OTHERWISE:
            assert parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
            assert not re.search(rf"^ +{name}: [A-Z\"]", written.partition('"""')[2], re.MULTILINE)
            (told,) = {
                (one.default, one.kind, one.says)
                for one in PARAMETERS
                if one.name == name and f"{name}: {one.says}\n" in f"{published.__doc__}\n"
            }
            shown = inspect.signature(published).parameters[name]
            assert (shown.default, shown.annotation) == told[:2]


@pytest.mark.parametrize("published", ENDPOINTS, ids=lambda function: function.__name__)
def test_every_argument_is_described_once_and_can_be_given_by_position(published):
    own = [one for name, one in inspect.signature(published).parameters.items() if name != "oauth_token"]
    described = re.findall(r"^    (\w+): \S", published.__doc__.partition("\n\nArgs:\n")[2], re.MULTILINE)
    assert described == [one.name for one in own]
    assert all(one.kind is one.POSITIONAL_OR_KEYWORD for one in own)


def test_an_argument_that_nothing_describes_is_seen():
    def function(model: str, colour: str) -> None:
        """Do something."""

    with pytest.raises(KeyError, match="colour"):
        documentation(function, {"model": "A model."})


def test_a_parameter_fills_what_the_function_leaves_to_it():
    @endpoint(LAYER)
    def function(model: str, *, layer: int) -> tuple[str, int]:
        """Do something."""
        return model, layer

    assert function("m") == ("m", 0)
    assert function("m", 2.0) == function("m", layer=2) == ("m", 2)
