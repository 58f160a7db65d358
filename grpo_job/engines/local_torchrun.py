"""torchrun for the processes of one machine: its store listens on 127.0.0.1, so that no other host can write to it.

torchrun's own `--standalone` listens on every address, and reads pickles from where the processes meet.
"""

import socket
import sys
from functools import partial

from torch.distributed import TCPStore, run
from torch.distributed.elastic.rendezvous import static_tcp_rendezvous


def main(arguments: list[str]) -> None:
    """`arguments` as torchrun has them, without where to meet."""
    listener = socket.create_server(("127.0.0.1", 0))
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    store = partial(TCPStore, master_listen_fd=listener.detach())
    static_tcp_rendezvous.TCPStore = store
    run.main(["--rdzv-backend", "static", "--rdzv-endpoint", place, "--node-rank", "0", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
