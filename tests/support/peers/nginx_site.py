"""What a real nginx needs to run as anybody, in a folder of its own."""

from pathlib import Path

_SITE = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  {server}
}}
"""


def write_site(folder: Path, server: str) -> list[str]:
    """Write the settings for one `server` block; gives the command that serves it."""
    settings = folder / "nginx.conf"
    settings.write_text(_SITE.format(folder=folder, server=server))
    return ["nginx", "-c", str(settings), "-p", str(folder)]
