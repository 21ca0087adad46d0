package ottla

import (
	"fmt"
	"strings"
	"time"
)

// Option is an option of [Start], [Main] and [New].
type Option func(*options)

type options struct {
	binary       string
	args         []string
	hasListeners bool
	startTimeout time.Duration
	stopTimeout  time.Duration
}

// Topic adds a topic that exists from the start, and again after each reset.
func Topic(name string, partitions int) Option {
	return args("--create-topic", fmt.Sprintf("%s:%d", name, partitions))
}

// Setting sets a setting of the broker by Kafka's name.
func Setting(name, value string) Option {
	return func(o *options) {
		o.args = append(o.args, "--set", name+"="+value)
		o.hasListeners = o.hasListeners || name == "listeners"
	}
}

// Secure adds listeners with TLS (SSL), and with TLS and SASL (SASL_SSL).
func Secure() Option { return args("--secure") }

// User adds a user for SASL.
func User(name, password string) Option { return args("--user", name+":"+password) }

// LogLevel sets the log level: off, error, warn, info (the default), debug or trace; or LOGGER=LEVEL, separated by commas.
func LogLevel(level string) Option { return args("--log-level", level) }

// Args adds arguments of the program.
func Args(more ...string) Option { return args(more...) }

// Binary names the program; otherwise [FindBinary] finds it.
func Binary(path string) Option { return func(o *options) { o.binary = path } }

// StartTimeout is how long a start may take. The default is 30 seconds.
func StartTimeout(timeout time.Duration) Option { return func(o *options) { o.startTimeout = timeout } }

// StopTimeout is how long a stop may take before the broker is killed. The default is 10 seconds.
func StopTimeout(timeout time.Duration) Option { return func(o *options) { o.stopTimeout = timeout } }

func args(more ...string) Option {
	return func(o *options) { o.args = append(o.args, more...) }
}

func (o *options) startTimeoutOrDefault() time.Duration {
	return orDefault(o.startTimeout, startTimeout)
}

func (o *options) stopTimeoutOrDefault() time.Duration { return orDefault(o.stopTimeout, stopTimeout) }

func orDefault(given, otherwise time.Duration) time.Duration {
	if given > 0 {
		return given
	}
	return otherwise
}

// arguments returns the arguments of the program. After the first start, before is the announcement of the last process.
func (o *options) arguments(directory string, before ready) []string {
	all := []string{"--exit-with-parent", "--ready-file", "-", "--ephemeral", "--data-dir", directory}
	return append(append(all, o.ports(before)...), o.args...)
}

// ports returns the arguments for free ports, or for the same ports as before.
func (o *options) ports(before ready) []string {
	if before.BootstrapServers == "" {
		return []string{"--port", "0", "--admin-port", "0"}
	}
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	args := []string{"--port", port(before.BootstrapServers), "--admin-port", port(before.AdminURL)}
	if len(before.Listeners) == 1 || o.hasListeners {
		return args
	}
	var first, others []string
	for name, address := range before.Listeners {
		listener := name + "://:" + port(address)
		if address == before.BootstrapServers {
			first = append(first, listener)
		} else {
			others = append(others, listener)
		}
	}
	return append(args, "--set", "listeners="+strings.Join(append(first, others...), ","))
}
