"""What the service says of its work and of its health."""
