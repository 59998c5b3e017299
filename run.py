"""The command line from a checkout: `python run.py --help`."""

from darts_pl.cli import console

if __name__ == "__main__":
    console()
