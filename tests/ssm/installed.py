"""Runs a program of this folder in the installation of requirements.txt, which it makes first where it is not."""
import os, pathlib, sys

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parent.parent / "target").resolve() / "outside-ssm"
# The sources stay as they are.
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "src" / "live"))
from emulator import end_with_input, install


def enter(folder=FOLDER):
    """Begins the program again with the installation's Python, unless that is what runs it."""
    folder = pathlib.Path(os.path.abspath(folder))
    if pathlib.Path(sys.prefix) != folder:
        folder.parent.mkdir(parents=True, exist_ok=True)
        python = install(str(folder), str(HERE / "requirements.txt"))
        os.execv(python, [python, os.path.abspath(sys.argv[0]), *sys.argv[1:]])
