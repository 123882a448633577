#!/bin/sh
# The keyring store against a real gnome-keyring, on a session bus and in a home of its own.
# Needs dbus-run-session, gnome-keyring-daemon and secret-tool (Debian: dbus gnome-keyring libsecret-tools).
set -eu

cd "$(dirname "$0")/../.."
for tool in dbus-run-session gnome-keyring-daemon secret-tool; do
    command -v "$tool" >/dev/null || {
        echo "secret_service: $tool is missing; apt-get install dbus gnome-keyring libsecret-tools" >&2
        exit 1
    }
done

# Built with the user's own home, where cargo's registry is.
cargo test --quiet --test it --no-run

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
mkdir -m 700 "$home/run"

# A bus that starts no service by itself: otherwise a call between the end of one keyring and the start of
# the next makes the bus start a third, and which of them wins is chance.
cat >"$home/bus.conf" <<EOF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=$home/run</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
EOF

# No display: nothing may come up on the screen of whoever runs this, and no prompt can be answered.
# CARGO_HOME and RUSTUP_HOME keep the real ones, as HOME moves.
out="$home/out"
env -u DISPLAY -u WAYLAND_DISPLAY -u DBUS_SESSION_BUS_ADDRESS -u XDG_DATA_HOME -u XDG_CONFIG_HOME \
    CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" \
    HOME="$home" XDG_RUNTIME_DIR="$home/run" HALLPASS_TEST_SECRET_SERVICE=1 \
    dbus-run-session --config-file="$home/bus.conf" -- \
    cargo test --offline --quiet --test it store_keyring -- --nocapture >"$out" 2>&1 || {
    cat "$out" >&2
    exit 1
}
cat "$out"
# A run that skipped itself is no run.
grep -q "killed and started again" "$out"

# The same with the whole program: a daemon that keeps running while its keyring is locked, unlocked, ended and
# started again.
in_session() {
    env -u DISPLAY -u WAYLAND_DISPLAY -u DBUS_SESSION_BUS_ADDRESS -u XDG_DATA_HOME -u XDG_CONFIG_HOME \
        HOME="$home/second" XDG_RUNTIME_DIR="$home/run" dbus-run-session --config-file="$home/bus.conf" -- "$@"
}
mkdir -m 700 "$home/second"
in_session tests/peers/keyring_daemon.sh
echo "secret_service: ok"
