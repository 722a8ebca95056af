"""Ansible finds a role's module and its utilities by its own means; tests give it the folders."""

import sys
from pathlib import Path

import ansible.module_utils

ROLE = Path(__file__).resolve().parents[3] / "roles" / "virtual_host"

ansible.module_utils.__path__.append(str(ROLE / "module_utils"))
sys.path.append(str(ROLE / "library"))
