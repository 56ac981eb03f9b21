"""Quantizers side by side, and the tables of figures."""
