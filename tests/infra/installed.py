"""Runs a program of this folder in the installation of requirements.txt, which it makes first where it is not."""
import os, pathlib, sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
FOLDER = TARGET / "outside-infra"
# The sources stay as they are.
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "src" / "live"))
from emulator import install


def enter():
    """Begins the program again with the installation's Python, unless that is what runs it."""
    if pathlib.Path(sys.prefix) != FOLDER:
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        python = install(str(FOLDER), str(HERE / "requirements.txt"))
        os.execv(python, [python, os.path.abspath(sys.argv[0]), *sys.argv[1:]])


def program(name):
    """One of our programs: the one that the environment names, or that cargo built last."""
    variable = {"findings-router": "FINDINGS_ROUTER_BIN", "bootstrap": "FINDINGS_ROUTER_BOOTSTRAP"}[name]
    path = pathlib.Path(os.environ.get(variable) or TARGET / "debug" / name)
    if not path.is_file():
        sys.exit(f"{path} is not there: cargo build --package findings-router --bins makes it, or set {variable}")
    return path
