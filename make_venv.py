"""A venv in the folder that is named (default: venv), with everything of requirements-dev.txt in it, always made anew.

`make` calls this when that file is newer. It has to be readable for old Pythons too, as far as the sentence that refuses them.
"""

import os
import subprocess
import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or newer is needed, and this is %d.%d: name one by make PYTHON=/path/to/python3." % sys.version_info[:2])
try:
    import ensurepip  # noqa: F401
except ImportError:
    install = ["apt-get", "install", "-qy", "--no-install-recommends", "python%d.%d-venv" % sys.version_info[:2]]
    may = os.geteuid() == 0 and os.path.exists("/etc/debian_version")
    if not may or subprocess.call(["apt-get", "update", "-q"]) or subprocess.call(install):
        sys.exit("This Python can't make a venv, because its module ensurepip is missing. Run: sudo %s" % " ".join(install))

folder = sys.argv[1] if len(sys.argv) > 1 else "venv"
print("Installing the packages of requirements-dev.txt into the folder %s, once, about 140 MB to fetch ..." % folder, flush=True)
quiet = ["--quiet", "--disable-pip-version-check"]
for command in (
    [sys.executable, "-m", "venv", "--clear", folder],
    [folder + "/bin/python", "-m", "pip", "install", *quiet, "--require-hashes", "-r", "requirements-dev.txt"],
):
    code = subprocess.call(command)
    if code:
        sys.exit(code)
open(folder + "/made", "w").close()  # only now: what was interrupted is done again
