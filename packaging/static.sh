#!/bin/sh
# Builds hallpass as one static file and prints its path: what the releases ship.
#
# Why static: a verb such as `hallpass mint` lives for less than a millisecond, and about half of that is
# the dynamic linker (see benches/RESULTS.md). It also runs on any Linux of this architecture, whatever C
# library that has.
#
# It stays position-independent. At a fixed address some fifty page faults less would come before main, but what
# listens for requests and holds credentials should not lie where everybody knows.
#
# Why musl: it is made for this. C code in the dependencies (SQLite, ring) is compiled with musl-gcc, from
# the package musl-tools. Names are resolved by musl's own resolver: /etc/hosts and DNS, no NSS plugins; a
# host that only mDNS or LDAP knows is not found as an upstream. For such a host take the plain build.
#
# Without the musl target (no rustup, or no network) the gnu target is linked statically instead. Its
# resolver loads NSS plugins of exactly the C library it was built with, so that file is for this machine
# only: never release it.
set -eu
cd "$(dirname "$0")/.."
arch=$(uname -m)
target="$arch-unknown-linux-musl"
folder=${CARGO_TARGET_DIR:-target}

if [ -e "$(rustc --print target-libdir --target "$target")" ] || rustup target add "$target" >&2; then
    command -v musl-gcc >/dev/null || { echo "musl-gcc is missing: install musl-tools" >&2; exit 1; }
    variable=$(printf %s "$target" | tr - _)
    # The table of relocations in its short form (RELR, which musl's start-up code reads since 1.2.4): 2 kB to read
    # before main instead of 320 kB. A linker that does not know it warns and writes the long form.
    env "CC_$variable=musl-gcc" cargo rustc --release --quiet --locked --bin hallpass --target "$target" -- \
        -C link-arg=-Wl,-z,pack-relative-relocs >&2
else
    echo "no musl target here: linking against glibc statically, for this machine only" >&2
    target="$arch-unknown-linux-gnu"
    # A folder of its own, so that it does not displace the plain build of the same target.
    folder=$folder/static-gnu
    RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=$folder \
        cargo build --release --quiet --locked --bin hallpass --target "$target" >&2
fi

file=$folder/$target/release/hallpass
# Says "statically linked" or "static-pie linked"; anything else would be a broken promise.
if command -v file >/dev/null && ! file "$file" | grep -q static; then
    echo "$file is not static" >&2
    exit 1
fi
case $file in /*) echo "$file" ;; *) echo "$PWD/$file" ;; esac
