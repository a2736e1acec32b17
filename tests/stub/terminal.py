#!/usr/bin/env python3
"""Runs a program at a terminal of its own and types answers (stdlib only).

    terminal.py QUESTION=ANSWER ... -- PROGRAM ...

Each answer is typed once its question is on the screen; `^C` types Ctrl-C, `^\\` Ctrl-\\, and `!TERM`
sends that signal. `^Z` types Ctrl-Z, which answers nothing, and tells in a line `Ctrl-Z works` or
`Ctrl-Z does nothing`. Everything that the terminal shows goes to stdout; at the end comes a line
`echo on` or `echo off`. The exit status is the program's, 1 if a question never came.
"""
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time


def main():
    cut = sys.argv.index("--")
    talk = [word.split("=", 1) for word in sys.argv[1:cut]]
    keyboard, terminal = pty.openpty()
    child = subprocess.Popen(sys.argv[cut + 1:], stdin=terminal, stdout=terminal, stderr=terminal,
                             start_new_session=True,
                             preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))
    shown, told, end = b"", 0, time.time() + 30
    while time.time() < end:
        if select.select([keyboard], [], [], 0.05)[0]:
            shown += os.read(keyboard, 65536)
        elif child.poll() is not None:
            break
        while talk and talk[0][0].encode() in shown[told:]:
            # Whoever asks gets a moment to listen.
            time.sleep(0.2)
            told = len(shown)
            answer = talk.pop(0)[1]
            if answer.startswith("!"):
                child.send_signal(getattr(signal, "SIG" + answer[1:]))
            elif answer == "^Z":
                key = termios.tcgetattr(terminal)[6][termios.VSUSP]
                print("Ctrl-Z works" if key == b"\x1a" else "Ctrl-Z does nothing")
                os.write(keyboard, b"\x1a")
                told = 0
            else:
                keys = {"^C": b"\x03", "^\\": b"\x1c"}
                os.write(keyboard, keys.get(answer, answer.encode() + b"\n"))
    echo = termios.tcgetattr(terminal)[3] & termios.ECHO
    child.kill()
    code = child.wait()
    sys.stdout.write(shown.decode(errors="replace"))
    print("echo on" if echo else "echo off")
    return 1 if talk else code


if __name__ == "__main__":
    sys.exit(main())
