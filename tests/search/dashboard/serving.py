"""Serves the dashboard of a storage until a signal comes, as a command would.

    python serving.py STORAGE_URL [--login LINE] [--proxy ADDRESS] [--writable]

The URL goes to standard error; at the end, the signal's name goes to standard output.
"""

import argparse
import sys

from search.dashboard.credentials import Credentials
from search.dashboard.serving import serve_dashboard
from search.storage.opening import open_storage

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--login")
    parser.add_argument("--proxy")
    parser.add_argument("--writable", action="store_true")
    options = parser.parse_args()
    with open_storage(options.url, create=False) as storage:
        login = Credentials.from_line(options.login, "--login") if options.login else None
        came = serve_dashboard(
            storage, port=0, credentials=login, proxy=options.proxy, writable=options.writable
        )
    sys.stdout.write(came.name)
