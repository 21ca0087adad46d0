#!/bin/bash
# The entry point of Redpanda's image, which test libraries call: /entrypoint.sh redpanda start FLAGS
exec /usr/bin/rpk "$@"
