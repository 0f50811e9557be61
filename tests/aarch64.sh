#!/usr/bin/env bash
# Builds the crate for aarch64 and runs its tests under emulation, on any Linux whose root may chroot: needs debootstrap
# and unshare, the network, 4 GB, and a quarter of an hour or more. Called by `make test-aarch64`.
# It must not write to the tree: the checkout is seen read-only, and all that is built lies in the chroot.
#
# A chroot of Debian sid, because that is where a Rust with the other architecture's library comes as packages.
# It lies in GRU_RS_AARCH64 and is used again by the next run; delete the folder for newer tools.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
chroot=${GRU_RS_AARCH64:-$HOME/.cache/gru-rs-aarch64}
target=aarch64-unknown-linux-gnu

# The host's own rules for its mirrors (proxy, age of the lists), which a chroot would not know.
apt_rules() {
    apt-config dump 2> /dev/null | grep -E '^Acquire::(Check|https?::)' || true
}

# Built aside and moved, so that a run that was cut short leaves nothing that looks ready.
build_chroot() {
    local part="$chroot.part"
    rm -rf --one-file-system -- "$part"
    mkdir -p "$(dirname "$chroot")"
    debootstrap --variant=minbase --include=ca-certificates sid "$part" http://deb.debian.org/debian
    apt_rules > "$part/etc/apt/apt.conf.d/99host"
    chroot "$part" /bin/sh -eu << 'END'
export DEBIAN_FRONTEND=noninteractive
dpkg --add-architecture arm64
apt-get update -q
apt-get install -yq --no-install-recommends gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross libc6:arm64 \
    rustc cargo rust-clippy libstd-rust-dev:arm64 qemu-user
mkdir /gru-rs /cargo
END
    mv "$part" "$chroot"
}

# The dependencies as the host's cargo has them: the chroot needs no network and no certificates.
vendor() {
    cargo vendor --quiet --locked --versioned-dirs --manifest-path "$root/Cargo.toml" "$chroot/cargo/vendor" > /dev/null
    printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "/cargo/vendor"\n' \
        > "$chroot/cargo/config.toml"
}

# inside COMMAND...: run it in the checkout as the chroot sees it. The mounts end with the command.
inside() {
    root=$root chroot=$chroot unshare --mount --propagation private bash -eu -c '
        mount -t proc proc "$chroot/proc"
        mount --bind -o ro "$root" "$chroot/gru-rs"
        exec chroot "$chroot" /usr/bin/env -i -C /gru-rs HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' inside \
        CARGO_HOME=/cargo CARGO_TARGET_DIR=/target CARGO_NET_OFFLINE=true RUST_BACKTRACE=1 \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64 "$@"
}

((EUID == 0)) || { echo "make test-aarch64 sets up a chroot: run it as root" >&2; exit 1; }
[[ -d $chroot ]] || build_chroot
vendor
inside cargo clippy --locked --all-targets --target "$target" -- -D warnings
# Named, so that the run cannot pass by falling back; the tests themselves compare it with scalar. The tests over
# every f32 take each 4,099th, or they would run for many hours. tests/speed.rs is no part of `cargo test`.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
inside GRU_RS_ISA=neon GRU_RS_STRIDE=4099 cargo test --locked --target "$target" 2>&1 | tee "$log"
awk '/^test result: ok/ { n += $4 } END { print n " tests passed, emulated" }' "$log"
printf 'commit %s, %s\n' "$(git -C "$root" rev-parse --short HEAD)" "$(inside qemu-aarch64 --version | head -1)"
