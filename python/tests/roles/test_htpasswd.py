"""The registry's htpasswd lines: what bcrypt accepts, and the same at each converge."""

from types import ModuleType

import bcrypt
import pytest

from role_files import load_role_file


@pytest.fixture(scope="module")
def htpasswd() -> ModuleType:
    """The filter plug-in of the role."""
    return load_role_file("registry/filter_plugins/htpasswd.py")


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
