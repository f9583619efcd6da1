"""`python -m deploy.sandbox.commands PROGRAM`: runs many command lines of one program in one interpreter.

PROGRAM is a console script's module with a `main(argv)`; each line of stdin is a JSON array of arguments. An
operator's shell would start the program anew for each; on two busy cores that costs half a second a time,
nearly all of it for loading the same modules. Ends with the first exit code that is not 0.
"""

import importlib
import json
import sys


def main() -> int:
    """Reads stdin to its end."""
    program = importlib.import_module(sys.argv[1])
    for line in sys.stdin:
        code: int = program.main(json.loads(line))
        if code:
            sys.stderr.write(f"failed: {line}")
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
