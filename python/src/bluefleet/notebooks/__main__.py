"""Starts JupyterLab with the site's password, which stays out of its arguments, its environment and its log."""

# Jupyter is installed in its image only.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import os
from pathlib import Path

from bluefleet.documents.settings import read_secret
from bluefleet.notebooks import examples

PASSWORD_FILE, FOLDER = "BLUEFLEET_JUPYTER_PASSWORD_FILE", "BLUEFLEET_NOTEBOOKS_DIR"
PORT = 8888
# Of a kernel that nobody looks at and that computes nothing, in seconds: its memory is others' too.
IDLE = 24 * 3600


def arguments(password_hash: str, folder: Path) -> list[str]:
    """What the server is told. It is handed over inside this process, so that no list of processes shows it."""
    return [
        "--ServerApp.ip=0.0.0.0",
        f"--ServerApp.port={PORT}",
        "--ServerApp.port_retries=0",
        # The edge serves it under this prefix, and knows of the TLS.
        "--ServerApp.base_url=/jupyter/",
        "--ServerApp.trust_xheaders=True",
        "--ServerApp.allow_remote_access=True",
        f"--ServerApp.root_dir={folder}",
        "--ServerApp.open_browser=False",
        "--ServerApp.quit_button=False",
        "--Application.log_level=WARN",
        # Seconds, both: what looks after connections refuses the defaults, and says so for each.
        "--ServerApp.websocket_ping_interval=30",
        "--ServerApp.websocket_ping_timeout=30",
        # The password alone: a token would travel in addresses.
        "--IdentityProvider.token=",
        f"--PasswordIdentityProvider.hashed_password={password_hash}",
        "--PasswordIdentityProvider.allow_password_change=False",
        f"--MappingKernelManager.cull_idle_timeout={IDLE}",
        # There is no way to the world from here, and none is tried.
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
    ]


def main() -> None:
    password, folder = read_secret(Path(os.environ[PASSWORD_FILE])), Path(os.environ[FOLDER])
    # Where a kernel begins that no notebook asked for.
    os.chdir(folder)
    examples.put(sorted(Path(__file__).parent.glob("*.ipynb")), folder)
    from jupyter_server.auth import passwd
    from jupyterlab.labapp import main as serve

    serve(arguments(passwd(password), folder))


if __name__ == "__main__":
    main()
