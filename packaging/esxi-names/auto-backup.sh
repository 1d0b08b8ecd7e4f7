#!/bin/sh
# The name under which ESXi's guides have an administrator write the configuration archive. Takes what `entropyctl`
# takes beside its command, such as --runtime-dir DIR.
exec entropyctl mixer backup "$@"
