"""`python -m labapp worker`: the same as `faust -A labapp.app worker`.

It does not call `app.main()`, which would import every module of this package for each role (faust/app/base.py, _discovery_modules).
"""

import sys

from faust.cli.faust import cli

sys.argv[1:1] = ["-A", "labapp.app"]  # where Faust looks for the app while it collects the commands
cli(prog_name="python -m labapp")
