"""Where another alarm is the one that counts."""

from tests.starvation.scenario import Scenario

ALL: tuple[type[Scenario], ...] = ()
