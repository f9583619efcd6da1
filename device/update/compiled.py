"""Bytecode for a release that was just unpacked: its slot is not writable for the gate, which would compile it anew at
every start, and a Pi takes seconds over that.
"""

import compileall
import os
from pathlib import Path
from py_compile import PycInvalidationMode


def compile_release(folder: Path) -> None:
    """Compiles what lies in `folder`, for the interpreter that this is; on disk when this returns.

    What cannot be compiled stays as it is: the trial shows whether it matters.

    Raises:
        OSError: the disk did not allow it.
    """
    # Unchecked: nobody changes a slot in place, and a Pi without a clock would take a file's time for a change.
    compileall.compile_dir(folder, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    # Some thousand files: one wait for the disk is better than one for each.
    os.sync()
