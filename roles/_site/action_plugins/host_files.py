"""Ansible action: reads the contents of a set of files on the control machine and hands them to one module call."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_KEYS = {
    "path",
    "mode",
    "owner",
    "group",
    "secret",
    "content",
    "source",
    "validate",
    "when",
    "where",
}


def _for_module(item: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without what only the control machine knows; owners may be numbers."""
    return {
        key: str(value) if key in {"owner", "group"} else value
        for key, value in item.items()
        if key not in {"content", "source", "when"}
    }


class ActionModule(ActionBase):
    """See the module's documentation for the options."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        del tmp
        result = super().run(None, task_vars)
        arguments = self._task.args
        files, contents = [], []
        for item in arguments.get("files", []):
            unknown = set(item) - _KEYS
            if unknown:
                raise AnsibleActionFail(f"host_files: {item.get('path')}: unknown key {', '.join(sorted(unknown))}")
            if item.get("when", True):
                contents.append(self._content(item))
                files.append(_for_module(item))
        folders = [_for_module(item) for item in arguments.get("folders", []) if item.get("when", True)]
        module_arguments = {
            "files": files,
            "contents": contents,
            "folders": folders,
            "absent": list(arguments.get("absent", [])),
        }
        result.update(self._execute_module("host_files", module_args=module_arguments, task_vars=task_vars))
        # What was sent is not for the log, and the paths are in the result.
        result.pop("invocation", None)
        return result

    def _content(self, item: Mapping[str, Any]) -> str:
        if ("content" in item) == ("source" in item):
            raise AnsibleActionFail(f"host_files: {item.get('path')}: give one of content and source")
        if "content" in item:
            content = item["content"]
            if isinstance(content, Mapping | list):
                content = json.dumps(content, indent=2, sort_keys=True) + "\n"
            return base64.b64encode(str(content).encode()).decode()
        try:
            return base64.b64encode(Path(item["source"]).read_bytes()).decode()
        except FileNotFoundError as error:
            if self._task.check_mode:
                return "-"
            raise AnsibleActionFail(f"host_files: {item['source']} does not exist on the control machine") from error
