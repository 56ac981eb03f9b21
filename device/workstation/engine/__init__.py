"""Where work on photos is done: on the threads of this machine, or on a Ray cluster.

Every loop over photos goes through here. What comes out does not depend on the engine, on how many
workers it has, or on their order.
"""

__all__ = ["address", "choice", "commands", "local", "on_ray", "progress", "work"]
