"""Serves the dashboard of a storage until a signal comes, as a command would.

    python serving.py STORAGE_URL [LOGIN_LINE]

The URL goes to standard error; at the end, the signal's name goes to standard output.
"""

import sys

from search.dashboard.credentials import Credentials
from search.dashboard.serving import serve_dashboard
from search.storage.opening import open_storage

if __name__ == "__main__":
    with open_storage(sys.argv[1], create=False) as storage:
        login = Credentials.from_line(sys.argv[2], "argument 2") if len(sys.argv) > 2 else None
        came = serve_dashboard(storage, port=0, credentials=login)
    sys.stdout.write(came.name)
