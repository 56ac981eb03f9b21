"""Statistics of features for tests that need some, whatever they are."""

import numpy as np

from device.contract.statistics import FeatureStatistics
from tests.support.pictures import LABELS

STATISTICS = FeatureStatistics.unscaled(np.eye(4, 2, dtype=np.float32), len(LABELS))
