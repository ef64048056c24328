#!/bin/sh
# Make the environment in .venv/: Python packages at the versions of constraints.txt. Nothing else is touched, and a
# second run does nothing while pyproject.toml and constraints.txt stay the same.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "dynview: $*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
}

stamp=.venv/.dynview-setup
wanted=$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c 'import app' 2>/dev/null; then
    exit 0
fi

python=$(find_python)
[ -n "$python" ] || fail "no Python 3.11 to 3.14 found; install one, for example with: apt-get install python3 python3-venv"

if ! [ -x .venv/bin/pip ]; then
    say "making the environment .venv with $("$python" --version)"
    rm -rf .venv
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        rm -rf .venv
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            say "installing python3-venv"
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
            "$python" -m venv .venv
        else
            fail "python's venv module is missing; run: sudo apt-get install python3-venv"
        fi
    fi
fi

progress=off
if [ -t 1 ]; then progress=on; fi
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@" --progress-bar "$progress"; }
quiet() { grep -vE '^(Looking in|Requirement already|WARNING: Location)' || true; }

say "step 1 of 2: installing PyTorch (5 GB on disk; one to ten minutes)"
pip install -c constraints.txt torch torchvision 2>&1 | quiet | grep -E 'Collecting|Downloading|Installing|Successfully|ERROR|error' || true
.venv/bin/python -c 'import torch, torchvision' || fail "PyTorch could not be installed; look above, check the network, and run this again"
say "step 2 of 2: installing dynview and the rest (under a minute)"
pip install -c constraints.txt -e '.[dev]' 2>&1 | quiet | grep -E 'Successfully|ERROR|error' || true
.venv/bin/python -c 'import app.cli, dearpygui, numba, lpips' || fail "a package is missing; look above, check the network, and run this again"
printf '%s' "$wanted" >"$stamp"
say "the environment is ready"
