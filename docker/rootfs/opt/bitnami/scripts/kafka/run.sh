#!/bin/bash
# Starts the broker as Bitnami's image does.
. /usr/share/ottla/image.sh
start_broker "$@"
