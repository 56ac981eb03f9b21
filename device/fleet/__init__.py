"""Signed releases for boards that fetch them by themselves, made on the workstation.

What boards fetch is a folder of files, for any web server. Who may sign what is in `signing.roles`.
"""

__all__: list[str] = []
