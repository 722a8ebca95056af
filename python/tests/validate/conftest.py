"""A small good inventory, and copies of it that a test breaks in one place."""

import shutil
from pathlib import Path

import pytest
import yaml

from bluefleet.checkout import find_checkout
from bluefleet.inventory import Finding, Inventory, render, validate_inventory, validate_site_file

GOOD = Path(__file__).parent / "good"


class Broken:
    """A copy of the good inventory. `change` breaks it, `findings` are what validation says then."""

    def __init__(self, folder: Path, rendered: Path) -> None:
        self.folder = folder
        self._rendered = rendered

    def change(self, file: str, old: str, new: str) -> None:
        """Put `new` where `old` stands in a file of the inventory."""
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is in {file} {text.count(old)} times"
        path.write_text(text.replace(old, new))

    def add(self, file: str, text: str) -> None:
        """Append lines to a file of the inventory."""
        with (self.folder / file).open("a") as stream:
            stream.write(text)

    def findings(self) -> list[Finding]:
        """What the files alone say; when they are well, what the site file says."""
        found = validate_inventory(self.folder, find_checkout()) or self._site_findings()
        return [finding for finding in found if not finding.note]

    def notes(self) -> list[Finding]:
        """What is told and is no mistake."""
        return [finding for finding in self._site_findings() if finding.note]

    def _site_findings(self) -> list[Finding]:
        """Ansible rendered the good inventory once; what a test changes of it is put in here as the template would."""
        site = yaml.safe_load(self._rendered.read_text())
        inventory = Inventory(self.folder)
        for node in site["nodes"]:
            instances = inventory.entry(node["name"], "node_instances")
            node["instances"] = instances.value if instances else []
            address = inventory.entry(node["name"], "ansible_host")
            node["address"] = address.value if address else node["name"]
            site["hosts"][node["name"]]["address"] = node["address"]
            site["hosts"][node["name"]]["groups"] = [group.name for group in inventory.groups_of(node["name"])]
        packages = inventory.entry("manager", "acquisition_packages")
        site["acquisition"]["packages"] = packages.value if packages else []
        plans = inventory.entry("manager", "acquisition_plans")
        site["acquisition"]["plans"] = plans.value if plans else []
        jupyter = inventory.entry("data", "data_jupyter")
        site["pods"]["data"]["jupyter"] = jupyter.value if jupyter else True
        registry = inventory.entry("manager", "registry")
        if registry and registry.value is None:
            site["registry"] = None
        published = inventory.entry("manager", "site_published_images")
        for key, reference in (published.value if published else {}).items():
            site["images"][key] = {"reference": reference, "digest": reference.partition("@")[2]}
        site_file = self.folder / "site.yml"
        site_file.write_text(yaml.safe_dump(site))
        return validate_site_file(self.folder, site_file, find_checkout())

    def the_finding(self) -> Finding:
        """The one thing that is wrong."""
        findings = self.findings()
        assert len(findings) == 1, "\n".join(map(str, findings)) or "nothing was found"
        return findings[0]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site file of the good inventory, rendered by Ansible."""
    folder = tmp_path_factory.mktemp("rendered") / "good"
    shutil.copytree(GOOD, folder)
    return render(folder, find_checkout()).site_file


@pytest.fixture
def site(tmp_path: Path, rendered: Path) -> Broken:
    """A copy of the good inventory that a test may break."""
    folder = tmp_path / "good"
    shutil.copytree(GOOD, folder)
    return Broken(folder, rendered)
