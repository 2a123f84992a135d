"""`python -m tarmac` is `tarmac`."""

from tarmac.faces.cli.main import entry

if __name__ == "__main__":
    entry()
