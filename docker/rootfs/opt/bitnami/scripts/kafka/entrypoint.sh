#!/bin/bash
# Runs a command as the entry point of Bitnami's image does: as it is given.
set -o errexit
exec "${@:-/opt/bitnami/scripts/kafka/run.sh}"
