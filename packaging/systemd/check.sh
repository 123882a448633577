#!/bin/sh
# Has systemd itself check the unit templates, with a stand-in for each blank. Does nothing, and says so,
# where systemd-analyze is not installed. Usage: packaging/systemd/check.sh
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if ! command -v systemd-analyze >/dev/null 2>&1; then
    echo "systemd-analyze is not installed: the units were not checked"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for unit in hallpass.service hallpass.socket hallpass-gateway.socket; do
    sed -e 's|@EXE@|"/bin/true"|; s|@SOCKET@|%t/hallpass/agent.sock|; s|@GATEWAY_SOCKET@|%t/hallpass/gateway.sock|' \
        -e '/^@ENVIRONMENT@$/d' "$here/$unit.in" >"$dir/$unit"
    if grep -n '@[A-Z]' "$dir/$unit"; then
        echo "$unit has a blank that nothing fills"
        exit 1
    fi
done
# verify warns of unknown directives on stderr and still exits with 0, so its output counts too.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$dir}"
status=0
said=$(systemd-analyze --user --man=no verify "$dir"/hallpass.service "$dir"/hallpass.socket \
    "$dir"/hallpass-gateway.socket 2>&1) || status=$?
ours=$(printf '%s\n' "$said" | grep hallpass || true)
if [ "$status" -ne 0 ] || [ -n "$ours" ]; then
    printf '%s\n' "$said"
    exit 1
fi
echo "systemd-analyze has nothing to say against the units"
