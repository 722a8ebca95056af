import pytest
from document_stack import API_KEY, SOURCE, Stack, docker
from test_document_path import every_kind, publish
pytestmark = pytest.mark.timeout(600)
def test_x(stack, images):
    publish(stack, every_kind(pages=False, scan_id=30))
    uid = publish(stack, every_kind(pages=False, scan_id=32))
    print(stack.verify(uid).equal, stack.name, stack.folder)
    print(docker("run", "--rm", "--network", stack.name, "--volume", f"{SOURCE}:/source:ro", "--env", "PYTHONPATH=/source",
        "--volume", f"{stack.folder / 'etc'}:/etc/test:ro", "--env", "BLUEFLEET_TILED_URL=http://tiled:8000",
        "--env", "BLUEFLEET_TILED_KEY_FILE=/etc/test/tiled_api_key",images["jupyter"], "python","-c", """
import nbformat, sys
from nbclient import NotebookClient
nb=nbformat.read('/source/bluefleet/notebooks/last-run.ipynb',4)
try:
    NotebookClient(nb,resources={'metadata':{'path':'/tmp'}}).execute()
finally:
    for c in nb.cells:
        for o in c.get('outputs',[]): print(str(o)[:3000])
"""))
