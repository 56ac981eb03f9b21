"""The estimate for a cluster divides what workers do, and not what the driver does alone."""

import pytest

from train.bench.cluster import Costs, table


def test_cores_divide_all_but_the_drivers_part() -> None:
    costs = Costs(read_ms=1.0, features_ms=8.0, driver_ms=0.5)
    assert costs.hours(3_600_000, 10) == pytest.approx((0.1, 0.8, 0.5))
    assert costs.hours(3_600_000, 20) == pytest.approx((0.05, 0.4, 0.5))


def test_the_table_adds_them_up() -> None:
    lines = table(Costs(1.0, 8.0, 0.5), 10, [3_600_000]).splitlines()
    assert lines[-1].split() == ["3,600,000", "0.10", "0.80", "0.50", "1.40"]
