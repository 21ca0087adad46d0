# Functions of the start scripts of all image families. Sourced by bash.

# Written when the broker is ready, removed when it stops; the health check reads it.
ready_file=/tmp/ottla.ready

# Prints the path of the mounted configuration file, if there is one. The paths are those of the images that this image
# replaces. This image contains none of these files.
mounted_config() {
    local file
    for file in ${KAFKA_MOUNTED_CONF_DIR:+"$KAFKA_MOUNTED_CONF_DIR/server.properties"} \
        /mnt/shared/config/server.properties /bitnami/kafka/config/server.properties \
        /opt/bitnami/kafka/config/server.properties /opt/kafka/config/server.properties \
        /etc/kafka/kafka.properties /etc/kafka/server.properties /etc/ottla/ottla.toml; do
        if [[ -f $file ]]; then
            echo "$file"
            return
        fi
    done
}

# Whether the user mounted a volume at $1. Docker mounts an anonymous volume wherever the image declares a volume; the name
# of an anonymous volume is 64 hexadecimal digits.
is_mounted() {
    local root point
    while read -r _ _ _ root point _; do
        [[ $point == "$1" && ! $root =~ /[0-9a-f]{64}(/_data)?$ ]] && return
    done </proc/self/mountinfo
    return 1
}

# Prints the data directory: the first path with a mounted volume, of all paths in the documentation of the images that
# this image replaces; without one, the path that most of them use.
data_dir() {
    local dir
    for dir in /var/lib/kafka/data /bitnami/kafka/data /bitnami/kafka /tmp/kraft-combined-logs /tmp/kafka-logs \
        /opt/kafka/data /var/lib/ottla /var/lib/redpanda/data /var/lib/redpanda /bitnami; do
        if is_mounted "$dir"; then
            # The anonymous volume at /bitnami/kafka hides that part of a volume at /bitnami.
            case $dir in
            /bitnami/kafka) echo /bitnami/kafka/data ;;
            /bitnami) echo /bitnami/ottla ;;
            /var/lib/redpanda) echo /var/lib/redpanda/data ;;
            *) echo "$dir" ;;
            esac
            return
        fi
    done
    echo /var/lib/kafka/data
}

# Sets log.dir to the directory of data_dir, unless the environment or the file $1 sets it. log.dirs has precedence over
# log.dir.
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

# Whether any argument is not a flag.
has_name() {
    local argument
    for argument in "$@"; do
        [[ $argument == -* ]] || return 0
    done
    return 1
}

# Replaces this shell by ottla. Commands that read a broker's settings read the mounted file and the environment.
run_ottla() {
    local command=() file=
    [[ ${1:-} == -* || -z ${1:-} ]] || { command=("$1") && shift; }
    case ${command[0]:-serve} in
    serve | config | healthcheck | check-log)
        has_flag --config "$@" || file=$(mounted_config)
        # With directories as arguments, check-log needs no settings.
        if [[ -n $file ]] && ! { [[ ${command[0]:-} == check-log ]] && has_name "$@"; }; then
            set -- --config "$file" "$@"
        fi
        choose_data_dir "$file"
        ;;
    esac
    exec /usr/bin/ottla "${command[@]}" "$@"
}

# Replaces this shell by the broker, with the settings of the environment and of a mounted file. Arguments are passed to
# the broker.
start_broker() {
    local arguments=()
    # If /tmp is not writable, the health check uses the settings.
    [[ ! -w /tmp ]] || has_flag --ready-file "$@" || arguments+=(--ready-file "$ready_file")
    run_ottla serve "${arguments[@]}" "$@"
}

# Replaces this shell by the broker, with Redpanda's arguments and files.
start_redpanda() {
    local arguments=()
    [[ ! -w /tmp ]] || has_flag --ready-file "$@" || arguments+=(--ready-file "$ready_file")
    # redpanda.yaml has precedence over the environment.
    choose_data_dir ''
    exec /usr/bin/ottla redpanda start "${arguments[@]}" "$@"
}
