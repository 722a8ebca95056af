"""Ansible callback: what was compiled once is there in every process, and in the next run."""

import hashlib
import marshal
import os
import stat
import struct
import tempfile
import threading
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType

import jinja2
from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase
from jinja2 import nodes
from jinja2.environment import TemplateExpression
from jinja2.utils import _PassArg

with suppress(ImportError):
    from ansible._internal._templating._jinja_bits import AnsibleEnvironment, _TemplateCompileContext, _TemplateConfig

DOCUMENTATION = """
name: compiled_once
type: aggregate
short_description: Templates and imports of modules are compiled once, not again and again
description:
  - Ansible forks for each task on each host, and each of these processes has Jinja compile the same few expressions again.
    Mitogen compiles all that a module imports, for each module, to see what that imports. Together that was a fifth of what
    a run computes. What they compile is kept in .cache of the checkout, for who made it only; removing it forgets all.
  - Nothing that was evaluated is kept, and nothing of a run that can decrypt something.
  - Only for releases whose compilers were read. Another may make code that depends on more than is compared here, so with
    that a run compiles for itself, and takes longer.
"""

CACHE = Path(__file__).parents[2] / ".cache"
READ = {"ansible-core": "2.19.", "jinja2": "3.1."}
READ_MITOGEN = "0.3.54"
# Some ten times what all playbooks have.
LIMIT = 16 * 1024 * 1024
# Key and digest of the content, and its length in bytes.
RECORD = struct.Struct("<16s16sI")
FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
# What the code that is made of a source depends on, beside the source.
SETTINGS = (
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "line_statement_prefix",
    "line_comment_prefix",
    "trim_blocks",
    "lstrip_blocks",
    "newline_sequence",
    "keep_trailing_newline",
    "autoescape",
    "sandboxed",
    "is_async",
)


class CallbackModule(CallbackBase):
    """Puts the kept code before what compiles."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "compiled_once"
    CALLBACK_NEEDS_ENABLED = True

    _done = False

    def v2_playbook_on_start(self, playbook) -> None:
        """No worker is there yet: each inherits all that is known by now. A run may have several playbooks."""
        if self._done or not all(release(name).startswith(read) for name, read in READ.items()):
            return
        self._done = True
        # A template may be what was encrypted, and its text is part of its code.
        if playbook.get_loader()._vault.secrets:
            return
        releases = "-".join(f"{name}-{release(name)}" for name in READ)
        kept = Kept(CACHE / f"compiled-{os.geteuid()}" / f"{releases}-python-{MAGIC_NUMBER.hex()}")
        put_before_jinja(kept)
        if constants.DEFAULT_STRATEGY.startswith("mitogen") and release("mitogen") == READ_MITOGEN:
            put_before_mitogen(kept)


class Kept:
    """What was compiled, by the key of its source: in memory, and in a file that every process appends to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[bytes, tuple] = {}
        # Where the checkout is somebody else's, or its disk is full, nothing is kept for the next process.
        with suppress(OSError, ValueError, EOFError, TypeError):
            self._read()

    def get(self, key: bytes) -> tuple | None:
        return self._known.get(key)

    def put(self, key: bytes, *known) -> None:
        self._known[key] = known
        content = marshal.dumps(known)
        with suppress(OSError):
            self._append(RECORD.pack(key, digest(content), len(content)) + content)

    def _append(self, record: bytes) -> None:
        """In one write, so that no other process's comes in between; opened anew, for a fork may have closed what was open."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | FLAGS)
        try:
            if is_own(file) and os.fstat(file).st_size < LIMIT:
                os.write(file, record)
        finally:
            os.close(file)

    def _read(self) -> None:
        """What is whole, and written by who runs this. Forks don't learn from each other: each thing is kept once from now on."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = b""
        with suppress(OSError), os.fdopen(os.open(self._path, os.O_RDONLY | FLAGS), "rb") as file:
            content = file.read() if is_own(file.fileno()) else b""
        records = records_of(content)
        self._known = {key: marshal.loads(record[RECORD.size :]) for key, record in records.items()}  # noqa: S302  (own)
        whole = b"".join(records.values())
        if not content or len(whole) < len(content):
            file, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(file, "wb") as anew:
                anew.write(whole)
            Path(name).replace(self._path)


def is_own(file: int) -> bool:
    """Whether nobody but who runs this can have written an open file, and it is this file only."""
    found = os.fstat(file)
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and found.st_nlink == 1
        and not stat.S_IMODE(found.st_mode) & 0o077
    )


def records_of(content: bytes) -> dict[bytes, bytes]:
    """Records by key, up to the first that is not whole: a machine was switched off, or another run is just writing it."""
    records: dict[bytes, bytes] = {}
    start = 0
    while len(content) - start >= RECORD.size:
        key, proof, length = RECORD.unpack_from(content, start)
        end = start + RECORD.size + length
        if digest(content[start + RECORD.size : end]) != proof:
            break
        records[key] = content[start:end]
        start = end
    return records


def put_before_jinja(kept: Kept) -> None:
    """Both ways in which Ansible has something compiled: the text of a template, and an expression without braces."""
    compile_source = jinja2.Environment.compile
    compile_expression = jinja2.Environment.compile_expression
    # Of the expression whose tree comes next, in the thread that compiles it.
    expression = threading.local()

    def compile_or_recall(self, source, *rest, **options):
        if not is_plain(self) or any(rest) or any(options.values()):
            return compile_source(self, source, *rest, **options)
        if not isinstance(source, str):
            key, expression.key = getattr(expression, "key", None), None
            code = compile_source(self, source)
            if key is not None:
                kept.put(key, code, kinds_in(self, source))
            return code
        key = key_of(self, "template", source)
        code = recalled(kept, self, key)
        if code is None:
            code = compile_source(self, source)
            kept.put(key, code, kinds_in(self, self.parse(source)))
        return code

    def compile_expression_or_recall(self, source, undefined_to_none=True):
        if not is_plain(self):
            return compile_expression(self, source, undefined_to_none)
        key = key_of(self, "expression", source)
        code = recalled(kept, self, key)
        if code is None:
            expression.key = key
            try:
                return compile_expression(self, source, undefined_to_none)
            finally:
                expression.key = None
        template = self.template_class.from_code(self, code, self.make_globals(None), None)
        return TemplateExpression(template, undefined_to_none)

    jinja2.Environment.compile = compile_or_recall
    jinja2.Environment.compile_expression = compile_expression_or_recall


def put_before_mitogen(kept: Kept) -> None:
    """It looks at what was compiled for names of imports, and runs nothing of it."""
    from ansible_mitogen import module_finder
    from mitogen import master

    def compile_or_recall(source, filename, mode):
        key = digest(repr(("source", source, str(filename), mode)).encode())
        known = kept.get(key)
        if known is None:
            known = (without_bodies(compile(source, filename, mode)),)
            kept.put(key, *known)
        return known[0]

    # The name is looked up in the module before it is found among Python's own.
    module_finder.compile = compile_or_recall
    master.compile = compile_or_recall


def without_bodies(code: CodeType) -> CodeType:
    """A module's code without that of its functions, its texts and its lines: what names its imports is a tenth of it."""
    consts = tuple(None if isinstance(each, CodeType | str) else each for each in code.co_consts)
    return code.replace(co_consts=consts, co_linetable=b"", co_exceptiontable=b"")


def is_plain(environment: jinja2.Environment) -> bool:
    """Ansible's own, which folds no constants: what a filter made of one would be kept with the code."""
    return (
        type(environment) is AnsibleEnvironment
        and not environment.optimized
        and not environment.extensions
        and not environment._debuggable_template_source
    )


def key_of(environment: jinja2.Environment, kind: str, source: str) -> bytes:
    """The same for two sources only where Jinja makes the same code of both, of filters and tests of the same kinds."""
    context = _TemplateCompileContext.current(optional=True)
    settings = (
        kind,
        context is not None and context.escape_backslashes,
        _TemplateConfig.allow_embedded_templates,
        [getattr(environment, name) for name in SETTINGS],
        str(source),
    )
    return digest(repr(settings).encode())


def recalled(kept: Kept, environment: jinja2.Environment, key: bytes) -> CodeType | None:
    """Kept code, if the filters and tests that it names are what they were."""
    code, kinds = kept.get(key) or (None, ())
    return code if all(kind_of(environment, plugins, name) == kind for plugins, name, kind in kinds) else None


def kinds_in(environment: jinja2.Environment, tree: nodes.Template) -> tuple[tuple[str, str, str], ...]:
    """What the code hands to filters and tests depends on how these were written."""
    found = {
        ("filters" if isinstance(each, nodes.Filter) else "tests", each.name)
        for each in tree.find_all((nodes.Filter, nodes.Test))
    }
    return tuple((*each, kind_of(environment, *each)) for each in sorted(found))


def kind_of(environment: jinja2.Environment, plugins: str, name: str) -> str:
    """Whether a filter or test is there, and what Jinja passes to it beside what is written."""
    try:
        plugin = getattr(environment, plugins).get(name)
    except AnsibleError:
        return "broken"
    if plugin is None:
        return "none such"
    passed = _PassArg.from_obj(plugin)
    return passed.name if passed else ""


def digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def release(name: str) -> str:
    """Of a package, or nothing where that is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
