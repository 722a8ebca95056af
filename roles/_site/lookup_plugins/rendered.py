"""Ansible lookup: a role's template, rendered with the variables of the host."""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template

DOCUMENTATION = r"""
name: rendered
short_description: A role's template, rendered with the variables of the host
description:
  - As ansible.builtin.template does it, without what makes that one slow where a site has many variables. It copies every variable of
    the host, and all that is in it, for each file; a converge renders more than a hundred.
  - Templates find their own place as C(template_fullpath), and nothing else of what ansible.builtin.template adds. They include only
    what lies beside them, and what is not defined in them is an error that no C(default) after the lookup takes away.
options:
  _terms:
    description: Files below C(templates) of the role, or paths to them.
    required: true
"""

EXAMPLES = r"""
- name: Engine has its unit
  host_files:
    files:
      - path: /etc/systemd/system/docker.service.d/zz-bluefleet.conf
        content: "{{ lookup('rendered', 'zz-bluefleet.conf.j2') }}"
"""

RETURN = r"""
_raw:
  description: What was rendered of each file. Of a template that is a single expression it is its value, else text.
  type: list
  elements: raw
"""


class LookupModule(LookupBase):
    """Renders templates without a copy of the variables."""

    def run(self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Render each template.

        Raises:
            AnsibleLookupError: a template isn't there, or an option is given.
        """
        if kwargs:
            raise AnsibleLookupError(f"rendered: no option is known, and {', '.join(sorted(kwargs))} given")
        return [self._rendered(term, variables or {}) for term in terms]

    def _rendered(self, term: str, variables: Mapping[str, Any]) -> Any:
        path = self.find_file_in_search_path(variables, "templates", term)
        if not path:
            raise AnsibleLookupError(f"rendered: there is no template {term}")
        templar = self._templar.copy_with_new_env(
            searchpath=[str(Path(path).parent)],
            # What a template sets stays in the first of the two.
            available_variables=ChainMap({"template_fullpath": path}, variables),
        )
        text = trust_as_template(self._loader.get_text_file_contents(path))
        return templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True})
