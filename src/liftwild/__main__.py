"""``python -m liftwild``."""

from liftwild.cli.main import main

main()
