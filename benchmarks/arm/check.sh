#!/bin/sh
# This tree and an x86 PC -> whether a Raspberry Pi would read what the PC reads, tried on an
# emulated Arm processor.
#
#     sudo benchmarks/arm/check.sh
#
# Makes an arm64 Debian in build/arm/ (0.9 GB), installs Edgemood's wheel there and for this machine,
# lets every shipped model read crops and a clip on both, compares the readings, and asks the live
# page there for one: 9 minutes on two cores. It mounts /proc for itself alone, so nothing is left
# mounted; what was done is not done again, so it may be interrupted; rm -r build/arm starts over.
#
# CLIP=file, PICTURES=folder  instead of the built-in demo, and beside it
# SUITE=trixie                Raspberry Pi OS's next Debian, with Python 3.13
# CORES="cortex-a72"          a Pi 4's alone; cortex-a76 is a Pi 5's
# MIRROR=address              of Debian, instead of debootstrap's own
# PYTHON=python3              with pip, instead of .venv's
#
# How long it takes here says nothing about a Pi.

set -eu

say() { echo "edgemood: $*" >&2; }
stop() { say "$*"; exit 2; }

cd "$(dirname "$0")/../.."
[ "$(uname -m)" = x86_64 ] || stop "this is $(uname -m), and the check compares Arm with x86_64: run it on a PC."
[ "$(id -u)" = 0 ] || stop "only root may make a Debian and enter it: sudo $0"
missing=
for tool in debootstrap:debootstrap qemu-aarch64-static:qemu-user-static dpkg-deb:dpkg git:git; do
    command -v "${tool%:*}" >/dev/null || missing="$missing ${tool#*:}"
done
[ -z "$missing" ] || stop "programs are missing: apt install$missing"
if [ -z "${EDGEMOOD_ARM_MOUNTS:-}" ]; then
    # A mount namespace of its own ends with the last of its processes, however that ends.
    unshare --mount true 2>/dev/null ||
        stop "no file system may be mounted here, as in most containers: run it on a machine of your own."
    EDGEMOOD_ARM_MOUNTS=private exec unshare --mount --propagation private "$0" "$@"
fi
PYTHON=${PYTHON:-.venv/bin/python}
"$PYTHON" -m pip --version >/dev/null 2>&1 ||
    stop "$PYTHON has no pip: make .venv with \`make bench\`, or name another with PYTHON=python3."

SUITE=${SUITE:-bookworm}
work=$PWD/build/arm
root=$work/$SUITE
mkdir -p "$work"

# --- an arm64 Debian ------------------------------------------------------------------------------

if [ ! -e "$root/whole" ]; then
    say "fetching an arm64 Debian $SUITE ..."
    rm -rf "$root"
    # Its libraries that OpenCV's wheel wants; the second changed its name after bookworm.
    wants=python3,libgl1,libglib2.0-0
    [ "$SUITE" = bookworm ] || wants=${wants}t64
    debootstrap --foreign --arch=arm64 --variant=minbase --include="$wants" \
        "$SUITE" "$root" ${MIRROR:+"$MIRROR"} >"$work/debootstrap.log" 2>&1 ||
        { tail -n 5 "$work/debootstrap.log" >&2; stop "debootstrap failed, see above."; }
    # Unpacked is enough to run Python; configuring every package would take many minutes.
    say "unpacking it ..."
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
        rm "$package"
    done
    # debootstrap may leave a link to the host's path.
    [ ! -L "$root/proc" ] || rm "$root/proc"
    mkdir -p "$root/proc" "$root/srv"
    touch "$root/whole"
fi
cp --remove-destination "$(command -v qemu-aarch64-static)" "$root/usr/bin/"
mount -t proc proc "$root/proc"
# Of the processor, libraries are told what a board tells them, or they take their slowest kernels,
# and LiteRT does without XNNPACK. The PC's own /sys ends ONNX Runtime.
mkdir -p "$root/sys/devices/system/cpu"
echo 0-3 | tee "$root/sys/devices/system/cpu/possible" >"$root/sys/devices/system/cpu/present"
version=$(readlink "$root/usr/bin/python3")
version=${version#python}

# --- Edgemood on both -----------------------------------------------------------------------------

sources() {
    git ls-files -z --cached --others --exclude-standard \
        pyproject.toml README.md LICENSE THIRD_PARTY.md core train export runtime benchmarks models \
        ':!benchmarks/arm' |
        sort -z | tar -c --null --ignore-failed-read --mtime=@0 --owner=0 --group=0 -T - 2>/dev/null
}

key=$( { sources; cat "${CLIP:-/dev/null}"; [ -z "${PICTURES:-}" ] || cat "$PICTURES"/*; } |
    sha256sum | cut -c 1-16)

# install FOLDER [OPTION...]: the wheel, and what it needs unless pyproject.toml asks for the same
# as last time.
install() {
    folder=$1
    shift
    wheel=$(echo "$work"/wheel/*.whl)
    if cmp -s pyproject.toml "$folder/pyproject.toml"; then
        set -- --no-deps --upgrade "$wheel"
    else
        rm -rf "$folder"
        set -- "$@" "${wheel}[tflite,serve]"
    fi
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --target "$folder" "$@" 2>"$work/pip.log" ||
        { grep -v ^WARNING "$work/pip.log" >&2; stop "pip cannot install Edgemood, see above."; }
    cp pyproject.toml "$folder"
}

if [ "$(cat "$root/key" 2>/dev/null)" != "$key" ]; then
    say "building Edgemood's wheel ..."
    rm -rf "$work/tree" "$work/wheel" "$root/key" "$root/readings"
    mkdir "$work/tree"
    sources | tar -x -C "$work/tree"
    "$PYTHON" -m pip wheel --quiet --disable-pip-version-check --no-deps \
        --wheel-dir "$work/wheel" "$work/tree" 2>"$work/pip.log" ||
        { grep -v ^WARNING "$work/pip.log" >&2; stop "pip cannot build a wheel, see above."; }
    say "installing it for x86_64 ..."
    install "$work/x86"
    say "installing it for aarch64, Python $version ..."
    # Wheels go by the C library they want at least; bookworm's is 2.36.
    platforms=$(seq --format='--platform=manylinux_2_%.0f_aarch64' 17 36)
    # shellcheck disable=SC2086 # an option a word
    install "$root/opt/edgemood" --only-binary=:all: --python-version "$version" \
        --platform=manylinux2014_aarch64 $platforms
    echo "$key" >"$root/key"
fi

# --- readings -------------------------------------------------------------------------------------

board() { # CORE: what a board with four of them has in /proc/cpuinfo
    case $1 in
        cortex-a72) model=0xd08 features="fp asimd evtstrm crc32 cpuid" ;;
        cortex-a76) model=0xd0b features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp" ;;
        *) stop "$1 is not a core of a Raspberry Pi: CORES takes cortex-a72 and cortex-a76." ;;
    esac
    for number in 0 1 2 3; do
        printf 'processor\t: %s\nFeatures\t: %s\n' $number "$features"
        printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: %s\n\n' $model
    done >"$work/$1.cpuinfo"
    mount --bind "$work/$1.cpuinfo" "$root/proc/cpuinfo"
}

arm() { # CORE ARGUMENT...: become Python of the emulated Debian on that core
    core=$1
    shift
    exec env -i PATH="$PATH" HOME=/home LANG=C.UTF-8 PYTHONPATH=/opt/edgemood \
        QEMU_CPU="$core" chroot "$root" /usr/bin/qemu-aarch64-static /usr/bin/python3 "$@"
}

cp benchmarks/arm/readings.py "$root/srv/"
# What is read, as the emulated Debian sees it; this machine sees it below $root.
clip=demo pictures=
if [ -n "${CLIP:-}" ]; then
    clip=/srv/clip.${CLIP##*.}
    cp "$CLIP" "$root$clip"
fi
if [ -n "${PICTURES:-}" ]; then
    pictures=/srv/pictures
    rm -rf "${root:?}$pictures"
    cp -r "$PICTURES" "$root$pictures"
fi
mkdir -p "$root/readings"
part=$root/readings/part

# kept WHERE: whether the readings are there already; else makes room for them.
kept() {
    [ ! -d "$root/readings/$1" ] || return 0
    rm -rf "$part"
    mkdir "$part"
    say "$1: every model reads pictures and a clip ..."
    return 1
}

# page CORE: of `edgemood run --serve`, asked for a reading from outside.
page() {
    say "$1: the live page is asked for a reading ..."
    port=$("$PYTHON" -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
    arm "$1" /opt/edgemood/bin/edgemood run demo --headless --serve "127.0.0.1:$port" 2>"$work/run.log" &
    server=$!
    trap 'kill $server 2>/dev/null || true' EXIT
    tries=0
    until "$PYTHON" -c "import json, urllib.request as web
answer = json.load(web.urlopen('http://127.0.0.1:$port/api/readings', timeout=30))
assert answer['faces'][0]['emotion']" 2>/dev/null; do
        kill -0 $server 2>/dev/null || { cat "$work/run.log" >&2; stop "the page ended, see above."; }
        tries=$((tries + 1))
        [ $tries -lt 900 ] || stop "the page has shown no reading in half an hour."
        sleep 2
    done
    kill $server
    status=0
    wait $server || status=$?
    trap - EXIT
    [ $status = 143 ] || stop "SIGTERM ended the page with $status, 143 was wanted."
}

if ! kept x86; then
    # The shipped face detector on both sides, as all else that ships.
    env -u EDGEMOOD_DETECTOR PYTHONPATH="$work/x86" "$PYTHON" \
        benchmarks/arm/readings.py "$part" "${CLIP:-demo}" "${PICTURES:-}"
    mv "$part" "$root/readings/x86"
fi
worst=0
for core in ${CORES:-cortex-a72 cortex-a76}; do
    board "$core"
    if ! kept "$core"; then
        (arm "$core" /srv/readings.py /readings/part "$clip" "$pictures") ||
            stop "it ended with $? there, see above."
        mv "$part" "$root/readings/$core"
    fi
    page "$core"
    echo
    echo "$core, Debian $SUITE, Python $version, beside x86_64:"
    PYTHONPATH="$work/x86" "$PYTHON" benchmarks/arm/compare.py \
        "$root/readings/x86" "$root/readings/$core" || worst=1
done
exit $worst
