"""Looking after a folder of photos: audit, cleaning, review of what devices saved."""
