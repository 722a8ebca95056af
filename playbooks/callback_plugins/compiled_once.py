"""Ansible callback: what was compiled once is there in every process, and in the next run."""

import hashlib
import marshal
import os
import stat
import struct
from contextlib import suppress
from importlib.metadata import version
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType

import jinja2
from ansible import constants
from ansible.plugins.callback import CallbackBase
from jinja2.environment import TemplateExpression

try:
    from ansible._internal._templating._jinja_bits import AnsibleEnvironment, _TemplateCompileContext, _TemplateConfig
except ImportError:
    # A release that is built otherwise compiles as it does by itself.
    AnsibleEnvironment = None

DOCUMENTATION = """
name: compiled_once
type: aggregate
short_description: Templates and imports of modules are compiled once, not again and again
description:
  - Ansible forks for each task on each host, and each of these processes has Jinja compile the same few expressions again.
    Mitogen compiles all that a module imports, for each module, to see what that imports. Together that was a fifth of what
    a run computes. What they compile is kept in .cache/compiled of the checkout, for who made it only.
  - Nothing that was evaluated is kept, and nothing of one release of Ansible, Jinja or Python is used with another.
"""

FOLDER = Path(__file__).parents[2] / ".cache" / "compiled"
# Some ten times what all playbooks have.
LIMIT = 64 * 1024 * 1024
FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
# Key and digest of the code, and the code's length in bytes.
RECORD = struct.Struct("<16s16sI")
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
    "optimized",
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

    def v2_playbook_on_start(self, playbook) -> None:
        """No worker is there yet: each inherits all that is known by now."""
        if AnsibleEnvironment is not None:
            kept = Kept(FOLDER / name())
            put_before_jinja(kept)
            if constants.DEFAULT_STRATEGY.startswith("mitogen"):
                put_before_mitogen(kept)


class Kept:
    """Code by the key of its source: in memory, and in a file that every process appends to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._codes: dict[bytes, CodeType] = {}
        # Where the checkout is somebody else's, or its disk is full, a run is as fast as Ansible is by itself.
        with suppress(OSError):
            self._read()

    def get(self, key: bytes) -> CodeType | None:
        return self._codes.get(key)

    def put(self, key: bytes, code: CodeType) -> None:
        self._codes[key] = code
        content = marshal.dumps(code)
        with suppress(OSError):
            self._append(RECORD.pack(key, digest(content), len(content)) + content)

    def _append(self, record: bytes) -> None:
        """In one write, so that no other process's comes in between; opened anew, for a fork may have closed what was open."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | FLAGS)
        try:
            if is_own(file):
                os.write(file, record)
        finally:
            os.close(file)

    def _read(self) -> None:
        """What is not as it was written, by who runs this, is thrown away as a whole."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(self._path, os.O_RDONLY | os.O_CREAT | FLAGS, 0o600), "rb") as file:
            codes = codes_of(file.read(LIMIT)) if is_own(file.fileno()) else None
        if codes is None:
            self._path.unlink()
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | FLAGS, 0o600))
        else:
            self._codes = codes


def is_own(file: int) -> bool:
    """Whether nobody but who runs this can have written an open file, and it has room."""
    found = os.fstat(file)
    return found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077 and found.st_size < LIMIT


def codes_of(content: bytes) -> dict[bytes, CodeType] | None:
    """Every record, or None if one of them is not whole: a machine was switched off, or a disk was full."""
    codes: dict[bytes, CodeType] = {}
    rest = memoryview(content)
    while rest:
        if len(rest) < RECORD.size:
            return None
        key, proof, length = RECORD.unpack(rest[: RECORD.size])
        code, rest = rest[RECORD.size : RECORD.size + length], rest[RECORD.size + length :]
        if digest(code) != proof:
            return None
        codes[key] = marshal.loads(code)  # noqa: S302  (written by who runs this, and whole)
    return codes


def put_before_jinja(kept: Kept) -> None:
    """Both ways in which Ansible has something compiled: the text of a template, and an expression without braces."""
    compile_source = jinja2.Environment.compile
    compile_expression = jinja2.Environment.compile_expression
    expressions: list[bytes] = []

    def compile_or_recall(self, source, *rest, **options):
        if not is_plain(self) or any(rest) or any(options.values()):
            return compile_source(self, source, *rest, **options)
        if not isinstance(source, str):
            # The tree of an expression, whose source was seen below.
            code = compile_source(self, source)
            if expressions:
                kept.put(expressions.pop(), code)
            return code
        key = key_of(self, "template", source)
        code = kept.get(key)
        if code is None:
            code = compile_source(self, source)
            kept.put(key, code)
        return code

    def compile_expression_or_recall(self, source, undefined_to_none=True):
        if not is_plain(self):
            return compile_expression(self, source, undefined_to_none)
        key = key_of(self, "expression", source)
        code = kept.get(key)
        if code is None:
            expressions.append(key)
            try:
                return compile_expression(self, source, undefined_to_none)
            finally:
                expressions.clear()
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
        code = kept.get(key)
        if code is None:
            code = compile(source, filename, mode)
            kept.put(key, code)
        return code

    # The name is looked up in the module before it is found among Python's own.
    module_finder.compile = compile_or_recall
    master.compile = compile_or_recall


def is_plain(environment: jinja2.Environment) -> bool:
    """Ansible's own, which folds no constants: what a filter made of one would be kept with the code."""
    return (
        type(environment) is AnsibleEnvironment
        and not environment.optimized
        and not environment._debuggable_template_source
    )


def key_of(environment: jinja2.Environment, kind: str, source: str) -> bytes:
    """The same for two sources only where Jinja makes the same code of both."""
    context = _TemplateCompileContext.current(optional=True)
    settings = (
        kind,
        context is not None and context.escape_backslashes,
        _TemplateConfig.allow_embedded_templates,
        sorted(environment.extensions),
        [getattr(environment, name) for name in SETTINGS],
        str(source),
    )
    return digest(repr(settings).encode())


def digest(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def name() -> str:
    """Of a file for these releases only."""
    return f"ansible-{version('ansible-core')}-jinja-{version('jinja2')}-python-{MAGIC_NUMBER.hex()}"
