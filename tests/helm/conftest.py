"""The tools, and the whole matrix rendered once."""

from __future__ import annotations

import pytest

from tests.helm.tools import Rendered, Tools, tools
from tests.helm.values import MATRIX


@pytest.fixture(scope="session")
def helm() -> Tools:
    """helm and the schemas; a machine without them fails here, with what is missing."""
    return tools()


@pytest.fixture(scope="session")
def matrix(helm: Tools) -> dict[str, Rendered]:
    """Every release of the matrix, rendered."""
    return {name: helm.template(values) for name, values in MATRIX.items()}


@pytest.fixture(params=sorted(MATRIX))
def rendered(request: pytest.FixtureRequest, matrix: dict[str, Rendered]) -> Rendered:
    """One release of the matrix after the other."""
    found = matrix[request.param]
    assert found.code == 0, found.said
    return found
