"""Runs one scenario: `python scenario.py MODULE NAME`. Its failure is the exit code."""

import importlib
import sys

module, name = sys.argv[1:]
getattr(importlib.import_module(module), name)()
