#!/usr/bin/python
"""Ansible action: images of this repository are built, and the site's registry has them."""

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: bluefleet_image
short_description: Build and push the images of this repository
description:
  - Runs on the control machine, whatever host the task is for, because it builds from this repository's files.
  - Builds only what is stale. An image's tag is a hash of all it is made from, parents included.
  - In check mode it tells what would be built and pushed.
options:
  state:
    description: C(built) needs no registry. C(pushed) builds what is stale and pushes what the registry lacks.
    choices: [planned, built, pushed]
    required: true
    type: str
  repository:
    description: This repository.
    required: true
    type: path
  declared:
    description: Content of images/versions.yml.
    required: true
    type: dict
  images:
    description: Keys of the images wanted; what they are made from is built too.
    required: true
    type: list
    elements: str
  published:
    description: Images that are taken by digest instead of built, by key.
    type: dict
  uids:
    description: The fixed uids of services (site_uids).
    required: true
    type: dict
  ca_bundle:
    description: PEM file of authorities that images trust too.
    type: str
  apt_mirror:
    description: Where Debian packages come from, if not from the default.
    type: str
  pip_index:
    description: Where Python packages come from, if not from the default.
    type: str
  packages:
    description: The site's own Python packages for the acquisition image, pinned requirements or paths.
    type: list
    elements: str
  registry:
    description: Address, tls, ca_file, user and password_file of the registry; empty where a site has none.
    type: dict
  device_classes:
    description: Device classes of the inventory; the acquisition image must be able to import them.
    type: list
    elements: str
  engine:
    description: Builder engine as in DOCKER_HOST; empty for the control machine's own.
    type: str
  log_dir:
    description: Where logs of builds are kept.
    required: true
    type: path
  record:
    description: Where digests are written when images are pushed (site_images of role _site); empty for nowhere.
    type: path
  jobs:
    description: How many images are built at once.
    type: int
  kept_tags:
    description: How many tags of an image the registry keeps after a push, the newest; what the site uses stays in any case.
    type: int
  background:
    description: Start and don't wait; the builder ends with ansible-playbook. What a push will want is written ahead, too.
    type: bool
"""

RETURN = r"""
images:
  description: Of each image tag, size in bytes, and with a registry digest and reference.
  type: dict
built:
  description: Images that were (in check mode would be) built, ancestors included.
  type: list
pushed:
  description: Images that were (in check mode would be) pushed or mirrored.
  type: list
seconds:
  description: How long the build of each image took, when it was built here.
  type: dict
"""


def main():
    """The action plugin of the same name does the work; this is its documentation and says so when it is missing."""
    AnsibleModule(argument_spec={}).fail_json(msg="bluefleet_image is an action; import role image, which has it")


if __name__ == "__main__":
    main()
