"""``python -m pyconntrack`` is the command `conntrack`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current directory, where no module of ours is sought
    from .cli.main import run_program

    run_program()
