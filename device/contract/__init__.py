"""What workstation and board agree on: photos, preprocessing, class names and the bundle."""
