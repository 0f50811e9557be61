#!/usr/bin/env bash
# The Rust tests on AVX-512: natively where the CPU has it, else on an emulated PC.
#
# The emulator is Bochs, whose model of a Skylake-X has AVX-512; QEMU's emulation has none. It boots a Debian kernel
# from a CD with the statically linked test binaries and little else on it, and writes what they say to a file through
# a serial port. Some 40 million instructions a second: allow an hour. Needs, of Debian 12:
#
#     apt-get install bochs bochs-term bochsbios vgabios grub-pc-bin grub-common xorriso mtools busybox-static cpio
#
# Not under test here: the architecture test, which reads source files, and speed, which an emulator cannot tell.
# The tests over every f32 take each 4,099th, or they would run for days, and random stacks are 12.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=${GRU_RS_AVX512:-$HOME/.cache/gru-rs-avx512}
limit=${GRU_RS_AVX512_LIMIT:-10800} # seconds until the emulator counts as hung
target=x86_64-unknown-linux-gnu
export GRU_RS_ISA=avx512

if grep -qw avx512f /proc/cpuinfo; then
    exec cargo test
fi

for tool in bochs:bochs script:bsdutils grub-mkrescue:grub-common xorriso:xorriso mformat:mtools cpio:cpio; do
    command -v "${tool%:*}" > /dev/null || missing+=" ${tool#*:}"
done
for file in /bin/busybox:busybox-static /usr/lib/grub/i386-pc/linux.mod:grub-pc-bin \
    /usr/share/bochs/BIOS-bochs-latest:bochsbios /usr/share/bochs/VGABIOS-lgpl-latest:vgabios; do
    [[ -e ${file%:*} ]] || missing+=" ${file#*:}"
done
if [[ ${missing:-} ]]; then
    echo "this CPU has no AVX-512, and to emulate one these packages are missing:$missing" >&2
    exit 1
fi
mkdir -p "$work"

# The kernel, from its package without installing it. The small one for clouds has all that is asked of it here.
if [[ ! -e $work/vmlinuz ]]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
    (cd "$work" && rm -rf kernel ./*.deb && apt-get download -qq -o APT::Sandbox::User= "$package")
    dpkg-deb -x "$work/$package"_*.deb "$work/kernel"
    mv "$work"/kernel/boot/vmlinuz-* "$work/vmlinuz"
    rm -rf "$work"/kernel "$work"/*.deb
fi

# Statically linked, so that the CD needs no libraries. Cargo names each binary as
# "  Executable tests/bits.rs (/…/deps/bits-0123456789abcdef)".
RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=$work/target \
    cargo test --no-run --target $target 2>&1 | tee "$work/build.log"
rm -rf "$work/root" "$work/cd"
mkdir -p "$work"/root/{bin,dev,proc,tests} "$work/cd/boot/grub"
sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$work/build.log" | while read -r binary; do
    name=$(basename "$binary")
    name=${name%-*}
    [[ $name == architecture ]] || strip -o "$work/root/tests/$name" "$binary"
done
cp /bin/busybox "$work/root/bin/"

# The first and only process. A test that fails lets the others run; the last line says that none is missing.
cat > "$work/root/init" << 'INIT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev # for /dev/urandom
export GRU_RS_ISA=avx512 GRU_RS_STRIDE=4099 GRU_RS_CASES=12 PROPTEST_RNG_SEED=1 RUST_BACKTRACE=1
/bin/busybox grep -m1 'model name' /proc/cpuinfo
/bin/busybox grep -m1 -ow avx512f /proc/cpuinfo
status=0
for test in /tests/*; do
    echo "=== $test"
    "$test" --nocapture || status=1
done
echo "=== all have run, status $status"
/bin/busybox sleep 3 # the serial port is slower than the power switch
/bin/busybox poweroff -f
INIT
chmod +x "$work/root/init"
(cd "$work/root" && find . | cpio --quiet -o -H newc) > "$work/cd/boot/initrd"
cp "$work/vmlinuz" "$work/cd/boot/"

# Without xsaves and xsavec: Bochs 2.7 gives their area another size than the kernel counts, which then turns off AVX.
cat > "$work/cd/boot/grub/grub.cfg" << 'GRUB'
set timeout=0
menuentry tests {
    linux /boot/vmlinuz console=ttyS0 quiet mitigations=off tsc=reliable lpj=1000000 clearcpuid=xsavec,xsaves
    initrd /boot/initrd
}
GRUB
grub-mkrescue -o "$work/cd.iso" -d /usr/lib/grub/i386-pc --install-modules="iso9660 linux normal biosdisk" \
    "$work/cd" 2> "$work/grub.log"

cat > "$work/bochsrc" << BOCHS
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0
memory: guest=512, host=512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1
ata0-master: type=cdrom, path=$work/cd.iso, status=inserted
boot: cdrom
display_library: term
com1: enabled=1, mode=file, dev=$work/serial.log
clock: sync=none
log: $work/bochs.log
panic: action=fatal
BOCHS

# Debian's Bochs has a debugger that waits for a command; others do not know the option. It draws its screen on a
# terminal, which script makes up. It ends when the emulated PC is switched off, always with status 1.
echo continue > "$work/debugger"
command=(bochs -q -f "$work/bochsrc")
[[ $(bochs --help 2>&1 || true) != *"-rc filename"* ]] || command+=(-rc "$work/debugger")
: > "$work/serial.log"
tail -n +1 -f "$work/serial.log" &
follow=$!
trap 'kill $follow' EXIT
TERM=vt100 timeout "$limit" script -qec "$(printf '%q ' "${command[@]}")" /dev/null < /dev/null > /dev/null || true
sleep 1
grep -qw '^avx512f' "$work/serial.log" || { echo "the emulated CPU has no AVX-512" >&2; exit 1; }
grep -q '=== all have run, status 0' "$work/serial.log"
