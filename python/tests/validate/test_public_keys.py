"""Only what an SSH server takes for a public key may be a person's key."""

import subprocess

import pytest

from patience import PATIENCE

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAI" + 43 * "A"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIReplaceItWithYours ada@example.org", "does not decode"),
        ("ssh-ed25519 <public key of ada> ada@example.org", "does not decode"),
        (f"ssh-ed25519 {KEY[:40]} ada", "does not decode"),
        (f"ssh-rsa {KEY} ada", "of another kind"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "a part of it is missing"),
        ("ada@example.org", "begins with ssh-ed25519"),
        (KEY, "begins with ssh-ed25519"),
    ],
)
def test_a_public_key_that_is_none_is_refused(site, line, says):
    site.change("group_vars/desktops.yml", "name: ada,", f"name: ada, authorized_keys: ['{line}'],")
    text = str(site.the_finding())
    for part in ("desktops.yml:2: data: desktop_users[0].authorized_keys[0]", says, "ssh-keygen wrote it"):
        assert part in text


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_as_ssh_keygen_writes_them_are_taken(site, tmp_path, kind):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "key"], check=True, timeout=60 * PATIENCE
    )
    line = (tmp_path / "key.pub").read_text().strip()
    with_options = f'from="192.0.2.0/24",command="echo ssh-rsa no" {line}'
    site.change("group_vars/desktops.yml", "name: ada,", f"name: ada, authorized_keys: ['{line}', '{with_options}'],")
    assert site.findings() == []


def test_a_key_that_ansible_looks_up_is_left_to_it(site):
    site.change("group_vars/desktops.yml", "name: ada,", "name: ada, authorized_keys: ['{{ local_key_of_ada }}'],")
    assert site.findings() == []
