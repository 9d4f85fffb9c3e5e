"""``python -m pyconntrack`` is the command `conntrack`."""

from .cli.main import run_program

if __name__ == "__main__":
    run_program()
