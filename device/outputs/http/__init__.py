"""The HTTP server that page and metrics share, and who may talk to it."""
