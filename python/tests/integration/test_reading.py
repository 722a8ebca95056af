"""`db[-1]` from Tiled and from Mongo, and what a search that Mongo does not have is answered with."""

import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
from document_stack import API_KEY, SOURCE, Stack, docker
from test_document_path import every_kind, publish

from patience import PATIENCE

pytestmark = pytest.mark.timeout(300)

READ = """
import json, sys
from bluefleet.documents.errors import RunNotFound
from bluefleet.documents.reading import open_runs

uid, number = sys.argv[1], int(sys.argv[2])
db = open_runs()
found = {}
for name, runs in (("tiled", db), ("mongo", db.mongo)):
    found[name] = [runs[key].metadata["start"]["uid"] for key in (-1, number, uid, uid[:8])]
    assert runs[-2].metadata["start"]["uid"] != uid
    assert runs[-1].metadata["stop"]["exit_status"] == "success"
    for nobody in (-100000, 999999, "deadbeef"):
        try:
            runs[nobody]
        except RunNotFound as error:
            assert str(nobody) in str(error)
        else:
            raise AssertionError(nobody)
found["values"] = [
    [float(value) for value in run["primary"]["data"]["real"].read()[:3]] if name == "mongo"
    else [float(value) for value in run["primary"]["real"].read()[:3]]
    for name, run in (("tiled", db[-1]), ("mongo", db.mongo[-1]))
]
print(json.dumps(found))
"""


@pytest.mark.parametrize("image", ["tiled", "bluesky"])
def test_the_last_run_is_read_from_tiled_and_from_mongo(stack: Stack, images: dict[str, str], image: str) -> None:
    publish(stack, every_kind(pages=False, scan_id=30))
    uid = publish(stack, every_kind(pages=False, scan_id=31 if image == "tiled" else 32))
    verdict = stack.verify(uid)
    assert verdict.equal, verdict.differences
    seen = docker(
        "run", "--rm", "--network", stack.name, "--volume", f"{SOURCE}:/source:ro", "--env", "PYTHONPATH=/source",
        "--volume", f"{stack.folder / 'etc'}:/etc/test:ro", "--env", "BLUEFLEET_TILED_URL=http://tiled:8000",
        "--env", "BLUEFLEET_TILED_KEY_FILE=/etc/test/tiled_api_key",
        images[image], "python", "-W", "ignore", "-c", READ, uid, str(verdict.scan_id),
    )  # fmt: skip
    found = json.loads(seen.splitlines()[-1])
    assert found["tiled"] == found["mongo"] == [uid] * 4
    assert found["values"] == [[0.0, 1 / 3, 2 / 3]] * 2


def test_a_full_text_search_that_mongo_does_not_have_is_refused_in_words(stack: Stack) -> None:
    assert stack.verify(publish(stack, every_kind(pages=False, scan_id=33))).equal

    def search(filter_: dict[str, str]) -> str:
        query = urllib.parse.urlencode(filter_)
        url = f"http://{stack.addresses['tiled']}:8000/api/v1/search/mongo?{query}"
        request = urllib.request.Request(url, headers={"Authorization": f"Apikey {API_KEY}"})
        with urllib.request.urlopen(request, timeout=30 * PATIENCE) as answer:  # noqa: S310 - http
            return answer.read().decode()

    with pytest.raises(urllib.error.HTTPError) as refused:
        search({"filter[fulltext][condition][text]": "scan"})
    assert refused.value.code == 400
    assert "this Mongo has no full-text search" in json.loads(refused.value.read())["detail"]
    by_key = {"filter[eq][condition][key]": "start.scan_id", "filter[eq][condition][value]": "33"}
    assert len(json.loads(search(by_key))["data"]) == 1
