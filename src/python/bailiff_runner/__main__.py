"""Entry point: ``python3 -I <folder>/bailiff_runner manifest APP.toml FOLDER | worker``."""

import os
import sys

USAGE = "usage: bailiff_runner manifest APPLICATION.toml FOLDER\n       bailiff_runner worker\n"


def _import_package():
    """Makes this folder importable as the package it is, and leaves nothing of it on sys.path.

    Run as a folder, Python puts the folder itself on sys.path, where an application's ``import errors``
    would find our errors.py. Submodules are found through the package, so its parent can go again, too.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    parent = os.path.dirname(here)
    sys.path[:] = [parent] + [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    try:
        import bailiff_runner  # noqa: F401
    finally:
        sys.path.remove(parent)


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "manifest":
        from bailiff_runner import manifest

        return manifest.main(arguments[1], arguments[2])
    if arguments == ["worker"]:
        from bailiff_runner import worker

        return worker.main()
    sys.stderr.write(USAGE)
    return 2


if __name__ == "__main__":
    _import_package()
    sys.exit(main(sys.argv[1:]))
