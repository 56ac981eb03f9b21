"""Our recipe beside others, and how training scales."""
