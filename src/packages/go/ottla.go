// Package ottla starts Ottla, a Kafka broker, for tests: one native program that starts in milliseconds, without Docker
// or Java.
//
// A broker for one test:
//
//	func TestOrders(t *testing.T) {
//		broker := ottla.Start(t, ottla.Topic("orders", 3))
//		client := connect(broker.BootstrapServers())
//		// ...
//	}
//
// A broker for all tests of a package, which each test begins with [Broker.Reset]:
//
//	func TestMain(m *testing.M) {
//		ottla.Main(m, &kafka, ottla.Topic("orders", 3))
//	}
//
// The broker's process ends with the test's process, whatever ends that, and its data is then removed.
package ottla

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
	// linesOfFailedTest is how many lines of the broker's log a failed test prints.
	linesOfFailedTest = 50
)

// Broker is a broker in a process of its own, on a free port. Its methods may be called by several goroutines.
type Broker struct {
	options   options
	binary    string
	directory string
	log       *logLines
	// requests has an element for each request that the admin port handles.
	requests chan struct{}

	// changing is held by methods that change the process.
	changing sync.Mutex
	// remover removes the directory of the last process that was started; changing protects it.
	remover *remover
	// state protects the fields below.
	state   sync.RWMutex
	process *process
	ready   ready
}

// Start starts a broker for one test (or benchmark), which ends with the test. If the broker cannot start, the test
// fails. If the test fails, it prints the last lines of the broker's log.
func Start(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	broker, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, line := range last(broker.LogLines(), linesOfFailedTest) {
				t.Log(line)
			}
		}
	})
	return broker
}

// Main starts a broker for all tests of a package, assigns it to *broker, runs the tests, stops the broker and exits. It
// is the body of TestMain.
func Main(m *testing.M, broker **Broker, opts ...Option) {
	os.Exit(run(m, broker, opts))
}

func run(m interface{ Run() int }, broker **Broker, opts []Option) int {
	started, err := New(opts...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*broker = started
	code := m.Run()
	if err := started.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// New starts a broker that the caller has to stop, and waits until it answers clients.
func New(opts ...Option) (*Broker, error) {
	broker := &Broker{log: &logLines{}, requests: make(chan struct{}, maxRequests)}
	for _, option := range opts {
		option(&broker.options)
	}
	if broker.options.wrong != nil {
		return nil, broker.options.wrong
	}
	var err error
	if broker.binary, err = FindBinary(broker.options.binary); err != nil {
		return nil, err
	}
	name := make([]byte, 12)
	if _, err := rand.Read(name); err != nil {
		return nil, fmt.Errorf("ottla: %w", err)
	}
	// The broker creates it. Nobody else can guess the name.
	broker.directory = filepath.Join(os.TempDir(), "ottla-"+hex.EncodeToString(name))
	if err := broker.start(); err != nil {
		if broker.process != nil {
			err = errors.Join(err, broker.stop())
		}
		return nil, err
	}
	return broker, nil
}

// BootstrapServers returns the address for Kafka clients, such as localhost:40123. It stays the same in a restart.
func (b *Broker) BootstrapServers() string { return b.announcement().BootstrapServers }

// Listeners returns the addresses of all listeners, by name.
func (b *Broker) Listeners() map[string]string {
	listeners := make(map[string]string)
	for name, address := range b.announcement().Listeners {
		listeners[name] = address
	}
	return listeners
}

// AdminURL returns the URL of the admin port.
func (b *Broker) AdminURL() string { return b.announcement().AdminURL }

// SchemaRegistryURL returns the URL of the schema registry; empty without [SchemaRegistry].
func (b *Broker) SchemaRegistryURL() string { return b.announcement().SchemaRegistryURL }

// CA returns the path of the certificate that clients of listeners with TLS must trust; empty without [Secure].
func (b *Broker) CA() string { return b.announcement().CA }

// SecureDir returns the folder with client configurations; empty without [Secure].
func (b *Broker) SecureDir() string { return b.announcement().SecureDir }

// DataDir returns the directory of the broker's data. It is removed at the end.
func (b *Broker) DataDir() string { return b.announcement().DataDir }

// PID returns the id of the broker's process; another one after a restart.
func (b *Broker) PID() int { return b.current().command.Process.Pid }

// Running returns whether the process runs.
func (b *Broker) Running() bool { return b.current().running() }

// LogLines returns the last lines of the broker's log, the oldest first: at most 10,000.
func (b *Broker) LogLines() []string { return b.log.all() }

// Reset removes all topics, records, groups and changed settings; the topics of the start are created again.
func (b *Broker) Reset() error { return b.post("reset", nil) }

// CreateTopic creates a topic with settings by Kafka's names, which may be nil. With 0 partitions, it has as many as the
// broker's num.partitions says. The error may be an [*Error] with Kafka's name.
func (b *Broker) CreateTopic(name string, partitions int, configs map[string]string) error {
	topic := map[string]any{"name": name}
	if partitions != 0 {
		topic["partitions"] = partitions
	}
	if len(configs) > 0 {
		topic["configs"] = configs
	}
	return b.post("topics", topic)
}

// Stop stops the broker and removes its data. It does nothing if the broker is stopped.
func (b *Broker) Stop() error {
	b.changing.Lock()
	defer b.changing.Unlock()
	return b.stop()
}

// Kill kills the process (SIGKILL), as a crash does. The data stays for [Broker.Restart].
func (b *Broker) Kill() error {
	b.changing.Lock()
	defer b.changing.Unlock()
	return b.current().kill()
}

// Restart stops the process, if it runs, and starts another one with the same ports and data.
func (b *Broker) Restart() error {
	b.changing.Lock()
	defer b.changing.Unlock()
	if err := b.current().terminate(b.options.stopTimeoutOrDefault()); err != nil {
		return err
	}
	return b.start()
}

func (b *Broker) current() *process {
	b.state.RLock()
	defer b.state.RUnlock()
	return b.process
}

func (b *Broker) announcement() ready {
	b.state.RLock()
	defer b.state.RUnlock()
	return b.ready
}

// start starts a process; the first one of this broker, or another one with the same ports.
func (b *Broker) start() error {
	process, err := startProcess(b.binary, b.options.arguments(b.directory, b.announcement()), b.log)
	if err != nil {
		return err
	}
	b.state.Lock()
	b.process = process
	b.state.Unlock()
	before := b.remover
	b.remover = startRemover(b.directory, process.command.Process.Pid)
	before.release()
	content, err := process.waitReady(b.options.startTimeoutOrDefault())
	if err != nil {
		return err
	}
	b.state.Lock()
	b.ready = content
	b.state.Unlock()
	return nil
}

func (b *Broker) stop() error {
	err := b.current().stop(b.options.stopTimeoutOrDefault())
	// A broker that was killed has not removed it.
	err = errors.Join(err, os.RemoveAll(b.directory))
	b.remover.release()
	b.remover = nil
	return err
}
