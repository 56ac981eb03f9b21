"""The network: weights, backbone, frozen features, calibrated probabilities."""

__all__ = [
    "averaging",
    "backbone",
    "backbones",
    "cache",
    "fetch_weights",
    "frozen",
    "layer_table",
    "limits",
    "temperature",
    "trials",
    "weights",
]
