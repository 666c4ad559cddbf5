"""Run the terminal commands: ``python -m localkit``."""

from localkit.cli import main

if __name__ == "__main__":
    main(prog_name="localkit")
