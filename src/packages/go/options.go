package ottla

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Option is an option of [Start], [Main] and [New].
type Option func(*options)

type options struct {
	binary       string
	args         []string
	settings     [][2]string
	registry     bool
	startTimeout time.Duration
	stopTimeout  time.Duration
	// wrong is about options that cannot be used.
	wrong error
}

// Topic adds a topic that exists from the start, and again after each reset.
func Topic(name string, partitions int) Option {
	return args(fmt.Sprintf("--create-topic=%s:%d", name, partitions))
}

// Setting sets a setting of the broker by Kafka's name.
func Setting(name, value string) Option {
	return func(o *options) { o.settings = append(o.settings, [2]string{name, value}) }
}

// Secure adds listeners with TLS (SSL), and with TLS and SASL (SASL_SSL).
func Secure() Option { return args("--secure") }

// User adds a user for SASL. The name has no colon.
func User(name, password string) Option {
	if strings.Contains(name, ":") {
		wrong := fmt.Errorf("ottla: the name %q of a user has a colon, which separates names from passwords", name)
		return func(o *options) { o.wrong = errors.Join(o.wrong, wrong) }
	}
	return args("--user=" + name + ":" + password)
}

// LogLevel sets the log level: off, error, warn, info (the default), debug or trace; or LOGGER=LEVEL, separated by commas.
func LogLevel(level string) Option { return args("--log-level=" + level) }

// SchemaRegistry adds a schema registry: [Broker.SchemaRegistryURL].
func SchemaRegistry() Option { return func(o *options) { o.registry = true } }

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

// setting returns the value of a setting; empty if it is not given.
func (o *options) setting(name string) (value string) {
	for _, setting := range o.settings {
		if setting[0] == name {
			value = setting[1]
		}
	}
	return value
}

// arguments returns the arguments of the program. After the first start, before is the announcement of the last process.
func (o *options) arguments(directory string, before ready) []string {
	all := []string{"--exit-with-parent", "--ready-file", "-", "--ephemeral", "--data-dir", directory}
	for _, setting := range o.settings {
		all = append(all, "--set="+setting[0]+"="+withPort(setting[1], before.url(setting[0])))
	}
	listeners := o.setting("listeners")
	if len(before.Listeners) > 1 || listeners != "" && before.BootstrapServers != "" {
		all = append(all, "--set", "listeners="+bound(listeners, before))
	} else if listeners == "" {
		all = append(all, "--port", port(before.BootstrapServers))
	}
	if o.setting("ottla.admin.listener") == "" {
		all = append(all, "--admin-port", port(before.AdminURL))
	}
	if o.registry && o.setting("ottla.registry.listener") == "" {
		all = append(all, "--registry-port", port(before.SchemaRegistryURL))
	}
	return append(all, o.args...)
}

// bound returns a value of listeners with the hosts of the given one, and with the ports of the last process.
func bound(given string, before ready) string {
	hosts := make(map[string]string)
	for _, entry := range strings.Split(given, ",") {
		name, address, _ := strings.Cut(strings.TrimSpace(entry), "://")
		hosts[strings.ToUpper(name)] = address[:max(strings.LastIndexByte(address, ':'), 0)]
	}
	var first, others []string
	for name, address := range before.Listeners {
		listener := name + "://" + hosts[name] + ":" + port(address)
		// The bootstrap servers are the first listener.
		if address == before.BootstrapServers {
			first = append(first, listener)
		} else {
			others = append(others, listener)
		}
	}
	return strings.Join(append(first, others...), ",")
}

// withPort returns an address or a port alone with the port of a URL; as it is if the URL is empty.
func withPort(address, url string) string {
	if url == "" {
		return address
	}
	return address[:strings.LastIndexByte(address, ':')+1] + port(url)
}

// port returns the port of an address; 0, which stands for a free one, if there is no address.
func port(address string) string {
	if address == "" {
		return "0"
	}
	return address[strings.LastIndexByte(address, ':')+1:]
}
