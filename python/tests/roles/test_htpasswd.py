"""The registry's htpasswd lines: what bcrypt accepts, and the same at each converge."""

import importlib.util
from pathlib import Path
from types import ModuleType

import bcrypt
import pytest

FILTER = Path(__file__).parents[3] / "roles" / "registry" / "filter_plugins" / "htpasswd.py"


@pytest.fixture(scope="module")
def htpasswd() -> ModuleType:
    """The filter plug-in of the role."""
    spec = importlib.util.spec_from_file_location("htpasswd", FILTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("password", ["a", "correct horse battery staple", "Ω" * 20])
def test_a_line_is_the_users_and_matches_the_password_alone(htpasswd: ModuleType, password: str) -> None:
    user, hashed = htpasswd.htpasswd_line(password, "push").split(":", 1)
    assert user == "push"
    assert bcrypt.checkpw(password.encode(), hashed.encode())
    assert not bcrypt.checkpw(f"{password}x".encode(), hashed.encode())


def test_a_line_is_the_same_each_time_and_another_for_each_user(
    htpasswd: ModuleType,
) -> None:
    assert htpasswd.htpasswd_line("secret", "push") == htpasswd.htpasswd_line("secret", "push")
    push, pull = (htpasswd.htpasswd_line("secret", user).split(":", 1)[1] for user in ("push", "pull"))
    assert push != pull
