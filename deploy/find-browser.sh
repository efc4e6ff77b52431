#!/bin/sh
# Finds a Chromium for the tests of the pages: CHROMIUM if set, else one that is installed, else Debian's where we may
# install it. With --print, prints its path, or nothing.
set -eu

find_browser() {
    for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        if [ -n "$browser" ] && command -v "$browser" 2>/dev/null; then
            return
        fi
    done
}

if [ "${1:-}" = --print ]; then
    find_browser
    exit 0
fi
if [ -n "$(find_browser)" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the tests of the pages …"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
    exit 0
fi

echo "No Chromium: the tests of the pages cannot run. Install it, or set CHROMIUM to its path." >&2
# Where a person works that is a note; where it counts, a failure.
[ "${CI:-}" != true ]
