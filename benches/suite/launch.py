"""Starts a program from a process as small as Python gets, and prints what it cost.

Linux counts the memory of the process that starts a program as that program's, up to its start:
were it the driver, nothing would seem smaller than the driver.

launch.py OUT LOG WORDS…: standard output and error of the program go to these files. Prints its
exit code, wall and CPU seconds, and peak memory in bytes."""

import os
import sys
import time

out, log, *words = sys.argv[1:]
writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND
files = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, out, writing, 0o644),
    (os.POSIX_SPAWN_OPEN, 2, log, writing, 0o644),
]
start = time.perf_counter()
child = os.posix_spawnp(words[0], words, os.environ, file_actions=files)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
print(code, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
