"""A thousand boards with the updater's real code, and what a web server must bear of them."""
