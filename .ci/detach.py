"""Start a program that outlives its caller and holds none of its open files: python detach.py LOG PROGRAM…"""

import subprocess
import sys
from pathlib import Path

log, *command = sys.argv[1:]
with Path(log).open("ab") as output:
    subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", start_new_session=True, close_fds=True
    )
