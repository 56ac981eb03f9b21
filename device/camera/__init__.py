"""Where frames come from: folders, films, local and network cameras that come and go."""
