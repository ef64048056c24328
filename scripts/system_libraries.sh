#!/bin/sh
# Install what a window needs from Debian or Ubuntu, and with "test" what a virtual one and the emulator of a GPU need.
# Never fails: what cannot be had is said, and the program or the tests do without.
set -u
purpose=${1:-window}

packages="libgl1 libegl1 libgl1-mesa-dri libglx-mesa0 libegl-mesa0"
if [ "$purpose" = test ]; then
    packages="$packages xvfb xauth xdotool imagemagick x11-utils wmctrl openbox g++"
fi

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "dynview: not a Debian or Ubuntu system; install what corresponds to:$missing"
elif [ "$(id -u)" != 0 ]; then
    echo "dynview: some system libraries are missing; run: sudo apt-get install$missing"
else
    echo "dynview: installing system libraries (under a minute):$missing"
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        echo "dynview: apt-get could not install all of:$missing"
fi
exit 0
