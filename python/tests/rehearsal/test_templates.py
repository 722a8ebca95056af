"""What a template looks up is known from its text, and is this machine's and no secret, or it stays behind."""

from __future__ import annotations

from typing import Any

import pytest

from bluefleet.rehearsal._templates import asks_others


@pytest.mark.parametrize(
    "value",
    [
        "no template: lookup('url', 'x')",
        "{{ local_lookup }} {{ site_name | upper }} {{ 'x' is exists }}",
        "{{ lookup('ansible.builtin.file', '/etc/hostname') }}",
        "{{ lookup ('file', inventory_dir ~ '/keys/ada.pub') }}",
        "{{ lookup('file', inventory_dir + '/keys/' + 'ada.pub', '/etc/hostname') }}",
        "{{ lookup('file', ['/etc/hostname', inventory_dir ~ '/a'], rstrip=false) }}",
        "{{ lookup('env', 'HOME') }} {{ query('vars', 'site_name') }}",
        "{{ x | some.collections.filter('{id}') }}",
        {"a": ["{% for each in q('sequence', 'end=3') %}{{ each }}{% endfor %}", 1, None, True]},
    ],
)
def test_what_stays_on_this_machine_is_harmless(value: Any) -> None:
    assert not asks_others(value)


@pytest.mark.parametrize(
    "value",
    [
        "{{ lookup('url', 'https://site.example.org') }}",
        "{{ lookup ('url', 'https://site.example.org') }}",
        "{{ lookup(\n'pipe', 'true') }}",
        "{{ lookup('community.general.onepassword', 'x') }}",
        "{{ lookup(local_kind, 'x') }}",
        "{{ lookup('pi' ~ 'pe', 'x') }}",
        "{{ lookup(*['pipe', 'x']) }}",
        "{{ lookup(plugin_name='pipe') }}",
        "{{ q('pipe', 'ssh gate true') }}",
        "{{ lookup('env', lookup('pipe', 'x')) }}",
        "{% set f = lookup %}{{ f('pipe', 'ssh gate true') }}",
        "{% set f = {'a': query} %}{{ f.a('pipe', 'ssh gate true') }}",
        "{% macro m(f) %}{{ f('pipe', 'x') }}{% endmacro %}{{ m(q) }}",
        "{% call lookup('pipe', 'x') %}{% endcall %}",
        "{{ lookup('template', 't.j2') }}",
        "{% include 't.j2' %}",
        "{% from 't.j2' import f %}{{ f() }}",
        "{{ lookup('vars', \"{{ lookup('pipe', 'x') }}\") }}",
        "{{ lookup('file', '{{ site_secrets_dir }}/queue_api_key') }}",
        "#jinja2: variable_start_string:'[%', variable_end_string:'%]'\n[% lookup('pipe', 'x') %]",
        "{{ lookup('file', inventory_dir ~ '/.state/secrets/queue_api_key') }}",
        "{{ lookup('file', inventory_dir ~ '/.sta' ~ 'te/ssh/id_ed25519') }}",
        "{{ lookup('file', '/srv/site/secrets/queue_api_key') }}",
        "{{ lookup('file', ['/etc/hostname', '/srv/site/pki/ca.key']) }}",
        "{{ lookup('file', site_secrets_dir ~ '/queue_api_key') }}",
        "{{ lookup('file', inventory_dir ~ local_path) }}",
        "{{ lookup('file', *local_paths) }}",
        "{{ '/srv/x' | map('lookup') }} {{ lookup }}",
        "{{ this does not parse }}",
        {"a": ["{{ 1 }}", {"b": "{{ q('pipe', 'x') }}"}]},
    ],
)
def test_what_may_ask_the_site_or_read_a_secret_is_found(value: Any) -> None:
    assert asks_others(value)
