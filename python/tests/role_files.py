"""Python files of roles, used as Ansible uses them: a plug-in is imported, a module is run with its arguments as JSON."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from patience import PATIENCE

ROLES = Path(__file__).resolve().parents[2] / "roles"


def load_role_file(path: str) -> ModuleType:
    """Import `roles/<path>`: Ansible's folders are no Python package."""
    file = ROLES / path
    spec = importlib.util.spec_from_file_location(f"role_file_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # programs import what lies beside them
    spec.loader.exec_module(module)
    return module


def call_module(path: str, arguments: dict[str, Any], *, umask: int = -1) -> dict[str, Any]:
    """Run the module `roles/<path>` in a process of its own, and return what it answers; what it printed is under `printed`."""
    done = subprocess.run(
        [sys.executable, ROLES / path],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
        timeout=30 * PATIENCE,
        umask=umask,
    )
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer | {"printed": done.stdout + done.stderr}
