"""What is known of drawn views, from arrays that have all views."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from train.recipe.draws import Drawn, Draws, Pairs


def drawn(draws: Draws, views: Sequence[npt.NDArray[np.floating]]) -> Drawn:
    """Of an array (photos, ...) for each view."""

    def compute(pairs: Pairs) -> npt.NDArray[np.float16]:
        places = zip(pairs.views, pairs.photos, strict=True)
        return np.stack([views[view][photo] for view, photo in places]).astype(np.float16)

    return Drawn(draws, compute)
