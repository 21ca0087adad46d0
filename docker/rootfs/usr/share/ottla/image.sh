# What the start scripts of all image families share. To be sourced by bash.

# Written once the broker answers, removed when it stops; the health check reads it.
ready_file=/tmp/ottla.ready

# Prints the configuration file that somebody mounted, if there is one: the places where the images that this one
# replaces look for theirs. None of them is in this image.
mounted_config() {
    local file
    for file in /mnt/shared/config/server.properties /bitnami/kafka/config/server.properties \
        /opt/bitnami/kafka/config/server.properties /opt/kafka/config/server.properties \
        /etc/kafka/kafka.properties /etc/kafka/server.properties /etc/ottla/ottla.toml; do
        if [[ -f $file ]]; then
            echo "$file"
            return
        fi
    done
}

# Whether somebody mounted a volume of their own at $1. Docker mounts one that nobody named wherever the image declares
# a volume: its name is 64 hexadecimal digits.
is_mounted() {
    local root point
    while read -r _ _ _ root point _; do
        [[ $point == "$1" && ! $root =~ /[0-9a-f]{64}(/_data)?$ ]] && return
    done </proc/self/mountinfo
    return 1
}

# Prints where data is to be kept: where somebody mounted a volume, of all places that the images which this one
# replaces document, and if nobody did where most of them keep it.
data_dir() {
    local dir
    for dir in /var/lib/kafka/data /bitnami/kafka/data /bitnami/kafka /tmp/kraft-combined-logs /tmp/kafka-logs \
        /opt/kafka/data /var/lib/ottla /bitnami; do
        if is_mounted "$dir"; then
            # A volume at /bitnami is covered at /bitnami/kafka by the one that nobody named.
            case $dir in
            /bitnami/kafka) echo /bitnami/kafka/data ;;
            /bitnami) echo /bitnami/ottla ;;
            *) echo "$dir" ;;
            esac
            return
        fi
    done
    echo /var/lib/kafka/data
}

# Has data kept where data_dir says, unless the environment or the file $1 names a place.
#
# By log.dir, which counts when nobody gives log.dirs.
choose_data_dir() {
    if [[ -z ${KAFKA_LOG_DIR:-}${KAFKA_CFG_LOG_DIR:-} ]] && ! grep -Eqs '^[[:space:]]*log\.dir[[:space:]]*[=:]' "$1"; then
        KAFKA_LOG_DIR=$(data_dir)
        export KAFKA_LOG_DIR
    fi
}

# Whether the flag $1 is among the arguments that follow it.
has_flag() {
    local flag=$1 argument
    shift
    for argument in "$@"; do
        [[ $argument == "$flag" || $argument == "$flag="* ]] && return
    done
    return 1
}

# Whether the arguments name anything that is no flag.
has_name() {
    local argument
    for argument in "$@"; do
        [[ $argument == -* ]] || return 0
    done
    return 1
}

# Runs ottla in place of this shell. Commands that read a broker's settings get the mounted file's and the environment's.
run_ottla() {
    local command=() file=
    [[ ${1:-} == -* || -z ${1:-} ]] || { command=("$1") && shift; }
    case ${command[0]:-serve} in
    serve | config | healthcheck | check-log)
        has_flag --config "$@" || file=$(mounted_config)
        # Directories that are named need no settings.
        if [[ -n $file ]] && ! { [[ ${command[0]:-} == check-log ]] && has_name "$@"; }; then
            set -- --config "$file" "$@"
        fi
        choose_data_dir "$file"
        ;;
    esac
    exec /usr/bin/ottla "${command[@]}" "$@"
}

# Starts the broker in place of this shell, with the settings of the environment and of a mounted file. Arguments are
# passed on.
start_broker() {
    local arguments=()
    # Where nothing may be written there, the health check goes by the settings.
    [[ ! -w /tmp ]] || has_flag --ready-file "$@" || arguments+=(--ready-file "$ready_file")
    run_ottla serve "${arguments[@]}" "$@"
}
