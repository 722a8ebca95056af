"""Which variables of a site's inventory a rehearsal takes, and why the others stay behind.

What is in neither list stays behind too: a variable has to be known to be harmless here before it is used here.
"""

import re

_MACHINE = "virtual hosts share the kernel of this machine, which it would change"
_STORAGE = "the site's storage is not here"
_IMAGES = "images are built here, and virtual hosts have a registry of their own"
_ACCOUNTS = "accounts of the site's hosts are not here"
_REACHED = "virtual hosts are reached as those of the laboratory are"
_MADE_HERE = "certificates of the rehearsal are its own"
_ENGINE = "engines of virtual hosts are set up as the laboratory's are"
_ROOM = "it is measured for the site's machines"

TAKEN = frozenset({
    "site_name",
    "acquisition_packages", "acquisition_plans", "acquisition_spool_keep_days",
    "data_frames_folders", "data_jupyter",
    "desktop_users", "desktop_terminal", "desktop_screens",
    "docker_engine_transport", "docker_engine_plain_acknowledged", "docker_engine_ssh_user",
    "firewall_enabled", "firewall_extra_ports", "firewall_epics_networks", "firewall_internal_interfaces",
    "firewall_rollback_seconds",
    "fleet_command", "fleet_actor_enabled", "fleet_actor", "fleet_service",
    "node_instances", "node_categories", "node_directories",
    "sshd_x11_forwarding", "sshd_x11_use_localhost",
    "subids_users", "subids_first", "subids_width",
    # Groups of equal depth are put in order by it.
    "ansible_group_priority",
})  # fmt: skip

LEFT: dict[str, str] = {
    "site_ca_bundle": "what this machine trusts is trusted",
    "site_apt_mirror": "packages come from where this machine gets them",
    "site_pip_index": "packages come from where this machine gets them",
    "registry": _IMAGES,
    "registry_address": _IMAGES,
    "registry_tls": _IMAGES,
    "registry_storage_dir": _IMAGES,
    "registry_garbage_collection": _IMAGES,
    "registry_options": _IMAGES,
    "registry_package": _IMAGES,
    "site_images": _IMAGES,
    "site_published_images": "none is fetched: twins run from images that are built here",
    "image_mongo_provider": _IMAGES,
    "image_jobs": _IMAGES,
    "image_kept_tags": _IMAGES,
    "image_engine": _IMAGES,
    "image_keys": _IMAGES,
    "acquisition_kafka_retention_bytes": _ROOM,
    "acquisition_kafka_memory": _ROOM,
    "acquisition_spool_limit_bytes": _ROOM,
    "data_jupyter_memory": _ROOM,
    "desktop_spool_limit_bytes": _ROOM,
    "desktop_packages": "virtual hosts reach no package source",
    "docker_engine_daemon_options": _ENGINE,
    "docker_engine_insecure_registries": _ENGINE,
    "docker_engine_stop_containers": _ENGINE,
    "docker_engine_packages": _ENGINE,
    "docker_engine_apt_source": _ENGINE,
    "docker_engine_program": _ENGINE,
    "docker_engine_prepare_commands": _ENGINE,
    "firewall_extra_addresses": "these are addresses of the site's network cards",
    "firewall_ssh_networks": "it would shut this machine out",
    "firewall_hardware_interfaces": "a network card of that name may be another thing here",
    "fleet_operators": _ACCOUNTS,
    "node_power": "it would switch the power of real hosts",
    "node_kernel_modules": _MACHINE,
    "node_udev_rules": "there is no hardware for them to be about",
    "node_sysctl": _MACHINE,
    "pki_authority_days": _MADE_HERE,
    "pki_certificate_days": _MADE_HERE,
    "pki_renew_before_days": _MADE_HERE,
    "pki_report_authority_before_days": _MADE_HERE,
    "pki_extra_names": _MADE_HERE,
    "pki_extra_certificates": _MADE_HERE,
    "pki_phase": _MADE_HERE,
    "sshd_drop_in": _REACHED,
    "sshd_address_family": _REACHED,
    "sshd_password_authentication": _REACHED,
    "sshd_keyboard_interactive": _REACHED,
    "sshd_users": _REACHED,
    "sshd_permit_root_login": _REACHED,
    "sshd_keys_elsewhere": _REACHED,
    "time_servers": "virtual hosts have the clock of this machine",
}
UNKNOWN = "nothing says that it is harmless here"

# Neither taken nor left: the rehearsal sets these itself, or makes something else of them.
OWN = frozenset({
    "simulate",
    "site_inventory_dir", "site_state_dir", "site_secrets_dir", "site_pki_dir", "site_etc_dir", "site_lib_dir",
    "site_docker_config", "site_interrupt_runs",
    "node_mounts",
    "virtual_host_network", "virtual_host_subnet", "virtual_host_names", "virtual_host_checkout", "virtual_host_space_mb",
    "virtual_host_ssh_seconds", "virtual_host_shared_folders", "virtual_host_uplink", "virtual_host_power_address",
    "virtual_host_debian_suite",
})  # fmt: skip
_OWN_PREFIX = "ansible_"

# A site's own variables: other values may be made of them.
_FREE_PREFIX = "local_"

# Where the site's inventory is, for templates that name files beside it.
INVENTORY = "local_rehearsed_inventory"
_INVENTORY_DIR = re.compile(r"(?<![\w.'\"])inventory_dir\b|(?<=\.)inventory_dir\b|(?<=\[['\"])inventory_dir(?=['\"]\])")


def is_taken(name: str) -> bool:
    """Whether a rehearsal uses the site's value."""
    return name in TAKEN or name.startswith(_FREE_PREFIX)


def why_left(name: str) -> str:
    """Why a rehearsal has no use for the site's value; empty for what it sets itself."""
    if is_taken(name) or name in OWN or name.startswith(_OWN_PREFIX):
        return ""
    return LEFT.get(name, UNKNOWN)


def beside_the_site(text: str) -> str:
    """A template whose files lie beside the site's inventory, as it has to be written in another folder."""
    return _INVENTORY_DIR.sub(INVENTORY, text) if "{{" in text or "{%" in text else text
