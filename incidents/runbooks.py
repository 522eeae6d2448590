"""Runbooks, by their public names: the file (runbookfile.py), its keys (runbookkeys.py), all of them (library.py)."""

from incidents.library import Explanation, Library, check_library, names_to_page_by
from incidents.runbookfile import Runbook, Step, parse_runbook
from incidents.runbookkeys import RANKS

__all__ = ["RANKS", "Explanation", "Library", "Runbook", "Step", "check_library", "names_to_page_by", "parse_runbook"]
