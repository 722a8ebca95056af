"""What was compiled of templates is kept: the same answers, without compiling again, and never from a file that may be another's."""

import marshal
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType

import pytest

from ansible_runs import TOP, mitogen, run_playbook
from role_files import load_role_file

PLUGIN = TOP / "playbooks" / "callback_plugins" / "compiled_once.py"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# What Ansible does at compile time in its own way: backslashes, kinds of values, strings that hold templates, overrides,
# expressions without braces, macros, errors that are told when they are used.
PLAY = r"""
- name: Templates of all kinds
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    names: [one, two]
    greeting: "hello {{ whom }}"
    whom: world
  tasks:
    - name: Kinds
      ansible.builtin.debug:
        msg:
          - "{{ names }}"
          - "{{ names | length }} of {{ names | join(',') }}"
          - "{{ greeting | upper }}"
          - "{{ 'a\\nb' }}"
          - "{{ 'one two' | regex_replace('(\\w+) (\\w+)', '\\2 \\1') }}"
          - "{{ lookup('ansible.builtin.vars', 'greeting') }}"
          - "{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice(whom) }}"
          - "{{ missing | default('none') }}"
          - "{{ names | map('upper') | list if names is sequence else 3 }}"
          # Four letters here, and three in a file of the same text.
          - "{{ 'a\\nb' | length }}"
          - "{{ lookup('ansible.builtin.template', playbook_dir ~ '/same.j2') }}"
          - "{{ whom | kind('y') }}"
          - "{{ lookup('ansible.builtin.template', playbook_dir ~ '/given.j2') }}"
          - "{{ lookup('ansible.builtin.template', playbook_dir ~ '/given.j2', trim_blocks=false) }}"
      when:
        - names[1] == 'two'
        - '"\d" is string'
    - name: A module, and what it imports
      ansible.builtin.command: {argv: [echo, ran]}
      changed_when: false
    - name: Left out
      ansible.builtin.debug: {msg: never}
      when: names[0] == "two"
    - name: Not there
      ansible.builtin.debug: {msg: "{{ nothing.of.this }}"}
      ignore_errors: true
    - name: Not a template
      ansible.builtin.debug: {msg: "{{ names | }}"}
      ignore_errors: true
"""
SAME = "{{ 'a\\nb' | length }}"
# What Jinja hands to a filter is in the code that it makes of a template.
FILTER = """
def kind(value, given, *more):
    return [given, *more]

class FilterModule:
    def filters(self):
        return {"kind": kind}
"""
CONTEXT_FILTER = FILTER.replace(
    "def kind(value, given", "import jinja2\n\n@jinja2.pass_context\ndef kind(context, value, given"
)
GIVEN = "{% for name in names %}\n{{ name }} \\d\n{% endfor %}\n"

Run = Callable[[], CompletedProcess[str]]
#: As `make lab` runs it, and as somebody without mitogen does.
STRATEGIES = [pytest.param(mitogen(), id="mitogen"), pytest.param({}, id="linear")]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of a checkout that has the plugin, and has kept nothing."""
    plugins = tmp_path / "checkout" / "playbooks" / "callback_plugins"
    plugins.mkdir(parents=True)
    shutil.copy(PLUGIN, plugins)
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "given.j2").write_text(GIVEN)
    (tmp_path / "same.j2").write_text(SAME)
    (tmp_path / "filter_plugins").mkdir()
    (tmp_path / "filter_plugins" / "kinds.py").write_text(FILTER)
    return tmp_path / "checkout" / ".cache" / f"compiled-{os.geteuid()}"


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> dict[str, str]:
    given: dict[str, str] = request.param
    return given


@pytest.fixture
def run(tmp_path: Path, kept: Path) -> Run:
    return runs(tmp_path, kept, {})


def runs(tmp_path: Path, kept: Path, strategy: dict[str, str], hosts: Path = Path("localhost,")) -> Run:
    given = settings(kept.parents[1] / "playbooks" / "callback_plugins")
    return lambda: run_playbook(hosts, tmp_path / "play.yml", **given, **strategy)


def settings(plugins: Path) -> dict[str, str]:
    return {"ANSIBLE_CALLBACK_PLUGINS": str(plugins), "ANSIBLE_CALLBACKS_ENABLED": "compiled_once"}


def plugin() -> ModuleType:
    return load_role_file("../playbooks/callback_plugins/compiled_once.py")


def told(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "failed for plugin" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def only_file(kept: Path) -> Path:
    [path] = kept.iterdir()
    return path


def test_what_was_compiled_before_answers_as_what_is_compiled_now(
    kept: Path, tmp_path: Path, strategy: dict[str, str]
) -> None:
    run = runs(tmp_path, kept, strategy)
    given = {"ANSIBLE_CALLBACKS_ENABLED": "prompt_end", **strategy}
    without = told(run_playbook(Path("localhost,"), tmp_path / "play.yml", **given))
    first = told(run())
    size = only_file(kept).stat().st_size
    second = told(run())
    assert size > 5000
    assert first == second == without
    assert "HELLO WORLD" in first
    assert "two one" in first
    assert "- 4\n    - 3\n" in first


def test_a_second_run_compiles_nothing_that_can_be_compiled(
    kept: Path, tmp_path: Path, strategy: dict[str, str]
) -> None:
    run = runs(tmp_path, kept, strategy)
    run()
    written = only_file(kept).read_bytes()
    run()
    assert only_file(kept).read_bytes() == written


def test_what_is_kept_is_what_is_used(run: Run, kept: Path) -> None:
    """A run whose kept code says something else says something else: nothing compiled it again."""
    run()
    path = only_file(kept)
    changed = b""
    for key, record in plugin().records_of(path.read_bytes()).items():
        code, kinds = marshal.loads(record[plugin().RECORD.size :])  # noqa: S302  (its own)
        consts = tuple("lower" if each == "upper" else each for each in code.co_consts)
        content = marshal.dumps((code.replace(co_consts=consts), kinds))
        changed += plugin().RECORD.pack(key, plugin().digest(content), len(content)) + content
    path.write_bytes(changed)
    assert "hello world" in told(run())


def test_a_filter_that_is_written_otherwise_gets_code_of_its_own(run: Run, tmp_path: Path) -> None:
    """Kept code would call it with too little."""
    first = told(run())
    (tmp_path / "filter_plugins" / "kinds.py").write_text(CONTEXT_FILTER)
    assert told(run()) == first
    assert told(run()) == first


def test_what_many_workers_compiled_at_once_is_kept_once(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {'h[0:5]': {ansible_connection: local}}}\n")
    (tmp_path / "play.yml").write_text(PLAY.replace("localhost", "all"))
    run = runs(tmp_path, kept, {}, tmp_path / "hosts.yml")
    told(run())
    by_each = only_file(kept).stat().st_size
    told(run())
    content = only_file(kept).read_bytes()
    assert len(content) == sum(map(len, plugin().records_of(content).values()))
    assert len(content) < by_each / 2


def test_a_run_that_can_decrypt_keeps_nothing(run: Run, kept: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    given = ("--vault-password-file", str(tmp_path / "password"))
    plugins = kept.parents[1] / "playbooks" / "callback_plugins"
    told(run_playbook(Path("localhost,"), tmp_path / "play.yml", *given, **settings(plugins)))
    assert not kept.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-3]), id="cut-off"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes().replace(b"upper", b"lower")), id="altered"),
        pytest.param(lambda path: path.write_bytes(b"no such thing"), id="something-else"),
        pytest.param(lambda path: path.chmod(0o664), id="somebody-else-may-write-it"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_not_believed_and_made_anew(
    run: Run, kept: Path, spoil: Callable[[Path], None]
) -> None:
    first = told(run())
    path = only_file(kept)
    spoil(path)
    assert told(run()) == first
    anew = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    run()
    assert path.read_bytes() == anew


def test_a_checkout_that_nothing_can_be_kept_in_runs_as_well(run: Run, kept: Path) -> None:
    kept.parent.mkdir()
    kept.write_text("no folder")
    assert "HELLO WORLD" in told(run())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_not_believed(run: Run, kept: Path) -> None:
    run()
    os.chown(only_file(kept), 65534, 65534)
    assert "HELLO WORLD" in told(run())
    assert only_file(kept).stat().st_uid == 0
