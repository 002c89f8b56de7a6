"""Installs MiniStack, which plays AWS, and runs it on loopback for as long as standard input is open.

    emulator.py FOLDER     prints the server's URL once it answers

FOLDER keeps the installation and the log. Whoever starts this holds the other end of its input: when they end, however
they end, the server ends too.
"""
import fcntl, functools, os, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.request

REQUIREMENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "requirements.txt")


def end_with_input():
    """Ends this process and all that it started when standard input ends."""
    if os.getpgrp() != os.getpid():
        os.setsid()

    def watch():
        while os.read(0, 1):
            pass
        shutil.rmtree(os.environ.get("MINISTACK_TMP", ""), ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def install(folder, requirements=REQUIREMENTS):
    """Installs the requirements, unless exactly they are there; one process at a time."""
    python, done = os.path.join(folder, "bin", "python"), os.path.join(folder, "requirements.txt")
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read(done) != read(requirements) or not os.path.exists(python):
            shutil.rmtree(folder, ignore_errors=True)
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
            for command in [sys.executable, "-m", "venv", folder], pip + ["--requirement", requirements]:
                if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
                    sys.exit(f"could not install {os.path.relpath(requirements)}; it takes Python 3.10 or later with venv and pip")
            # Last, so that an installation that was cut off is done again.
            shutil.copy(requirements, done)
    return python


def serve(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    url = "http://127.0.0.1:" + port
    tempfile.tempdir = temporary = tempfile.mkdtemp(prefix="ministack-")
    os.environ.update(
        BIND_HOST="127.0.0.1", GATEWAY_PORT=port, MINISTACK_HOST="127.0.0.1", AWS_ENDPOINT_URL=url,
        TMPDIR=temporary, MINISTACK_TMP=temporary, LOG_LEVEL=os.environ.get("LOG_LEVEL", "WARNING"))
    out = os.dup(1)
    log = os.open(os.path.join(folder, "ministack.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1), os.dup2(log, 2)

    def tell():
        while True:
            try:
                with urllib.request.urlopen(url + "/_ministack/health", timeout=5):
                    os.write(out, (url + "\n").encode())
                    return
            except OSError:
                time.sleep(0.02)

    threading.Thread(target=tell, daemon=True).start()
    try:
        from ministack.app import main
        from ministack.services import eventbridge
        # Tests are the services of AWS too, whose events nobody else may put on a bus.
        eventbridge._put_events = functools.partial(eventbridge._put_events, allow_aws_source=True)
        sys.argv = ["ministack"]
        main()
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    end_with_input()
    if sys.argv[1] == "--serve":
        serve(sys.argv[2])
    else:
        python = install(os.path.abspath(sys.argv[1]))
        os.execv(python, [python, os.path.abspath(__file__), "--serve", os.path.abspath(sys.argv[1])])
