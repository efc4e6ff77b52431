#!/bin/sh
# Prints the Python to make the virtual environment with: PYTHON if set, else the first that is 3.11 or later
# and can make one.
set -eu

fits() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for python in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
    if fits "$python"; then
        echo "$python"
        exit 0
    fi
done

echo "Python 3.11 or later with venv was not found: install it (on Debian or Ubuntu" \
    "\`apt-get install python3 python3-venv\`), or set PYTHON to one." >&2
exit 1
