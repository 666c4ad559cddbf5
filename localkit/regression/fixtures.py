"""What the pytest fixtures give to tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import ModelNotFound
from localkit.model import Model
from localkit.runtime.params import LoadParams

if TYPE_CHECKING:
    from localkit.kit import Kit

_TAKES = ("model", "n_ctx", "seed")


def model_for(request: pytest.FixtureRequest, kit: Kit) -> Model:
    """Return the model that a test asks for, loaded; see the fixture.

    Raises:
        pytest.UsageError: nothing names a model, or the marker takes no such word.
    """
    marker = request.node.get_closest_marker("localkit")
    asked = dict(marker.kwargs) if marker else {}
    if marker and marker.args:
        asked = {"model": marker.args[0], **asked}
    wrong = [name for name in asked if name not in _TAKES]
    if wrong:
        msg = f"pytest.mark.localkit takes {', '.join(_TAKES)}, not {wrong[0]}"
        raise pytest.UsageError(msg)
    config = request.config
    ref = (
        asked.get("model")
        or config.getoption("--localkit-model")
        or config.getini("localkit_model")
    )
    if not ref:
        raise pytest.UsageError(
            f"{request.node.name} uses localkit_model, and nothing says which: mark it "
            '@pytest.mark.localkit(model="REF"), or set localkit_model in the ini file'
        )
    try:
        params = LoadParams(n_ctx=asked.get("n_ctx"))
        model = kit.load(ref, params, keep_alive=-1)
    except ModelNotFound as error:
        pytest.skip(error.one_line())
    if asked.get("seed") is None:
        return model
    seeded = Model(model.stored, model.session)
    seeded.asker.notes = model.asker.notes
    seeded.asker.seed = asked["seed"]
    return seeded
