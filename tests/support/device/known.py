"""Statistics of features for tests that need some, whatever they are."""

import numpy as np

from device.contract.statistics import FeatureStatistics
from tests.support.pictures import LABELS

STATISTICS = FeatureStatistics(
    mean=np.eye(len(LABELS), 2, dtype=np.float32),
    directions=np.ones((4, 2), np.float32),
    center=np.zeros(4, np.float32),
)
