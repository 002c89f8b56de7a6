"""Runs a program for as long as standard input is open: held.py PROGRAM ARGUMENT… A SIGTERM to its process group reaches the program."""
import signal, subprocess, sys

import installed
from emulator import end_with_input

end_with_input()
signal.signal(signal.SIGTERM, lambda *_: None)
sys.exit(subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode)
