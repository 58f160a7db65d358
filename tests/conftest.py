"""What holds for all tests and for the processes that they start."""

import os

# The workers share the processors. Threads of one process that wait for each other there cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
