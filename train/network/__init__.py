"""The network: weights, backbone, frozen features, calibrated probabilities."""
