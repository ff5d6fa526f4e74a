#!/usr/bin/env bash
# Prints where an append spends its instructions (callgrind): the functions themselves, then with all that they call.
#
#   bench/profile.sh                 append_event
#   bench/profile.sh batch:ours      append_events, 1,000 events over 100 streams
#   bench/profile.sh floor           the bare INSERT; scripts/bench --help names the others
#
# Static functions of the server have names only where its debug symbols are installed.
set -euo pipefail

exec "$(dirname "${BASH_SOURCE[0]}")/../scripts/bench" --profile "${1:-ours}"
