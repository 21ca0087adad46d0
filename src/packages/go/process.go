package ottla

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// endTimeout is how long the end may take after a SIGKILL.
	endTimeout     = 5 * time.Second
	maxReadyLength = 1 << 20
	// maxQuoted is how many bytes of the output an error's message has.
	maxQuoted = 200
	// runnerInterval is how often a test looks whether "go test" still runs.
	runnerInterval = 200 * time.Millisecond
)

// process is the process of a broker, from its start to its end.
type process struct {
	command *exec.Cmd
	log     *logLines
	// stdin is held open: the broker stops when this process ends, whatever ends it.
	stdin io.WriteCloser
	// announced gets the line that announces the broker.
	announced firstLine
	// ended is closed when the process has ended and its log is complete.
	ended chan struct{}
}

// ready is the announcement of a broker.
type ready struct {
	BootstrapServers  string            `json:"bootstrap_servers"`
	Listeners         map[string]string `json:"listeners"`
	AdminURL          string            `json:"admin_url"`
	SchemaRegistryURL string            `json:"schema_registry_url"`
	CA                string            `json:"ca"`
	SecureDir         string            `json:"secure_dir"`
	DataDir           string            `json:"data_dir"`
}

// url returns the URL of what a setting is the address of; empty for other settings, and before the first start.
func (r ready) url(setting string) string {
	switch setting {
	case "ottla.admin.listener":
		return r.AdminURL
	case "ottla.registry.listener":
		return r.SchemaRegistryURL
	}
	return ""
}

func startProcess(binary string, args []string, log *logLines) (*process, error) {
	p := &process{command: exec.Command(binary, args...), log: log, ended: make(chan struct{})}
	p.announced.line = make(chan []byte, 1)
	p.command.Stdout, p.command.Stderr = &p.announced, log
	// It does not get the signals of a terminal, at which it would keep its data.
	p.command.SysProcAttr = ownProcessGroup()
	// Settings in this process's environment are for other brokers, and RUST_LOG is for other programs.
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "KAFKA_") && !strings.HasPrefix(variable, "RUST_LOG=") {
			p.command.Env = append(p.command.Env, variable)
		}
	}
	// A program that the broker's standard error was passed to must not delay its end.
	p.command.WaitDelay = endTimeout
	var err error
	if p.stdin, err = p.command.StdinPipe(); err == nil {
		err = p.command.Start()
	}
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("cannot run %s: %v", binary, err), cause: err}
	}
	go func() {
		_ = p.command.Wait() // its result is the process's state
		log.close()
		close(p.ended)
	}()
	if testing.Testing() {
		go p.endWithRunner(os.Getppid())
	}
	return p, nil
}

// endWithRunner ends the broker when a killed "go test" has left this process behind, which would still run for a while.
func (p *process) endWithRunner(runner int) {
	for !p.wait(runnerInterval) {
		if os.Getppid() != runner {
			_ = p.stdin.Close() // fails if it is closed
			return
		}
	}
}

// waitReady returns the announcement of the broker. A process that is not ready in time is killed.
func (p *process) waitReady(timeout time.Duration) (ready, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case line := <-p.announced.line:
		var content ready
		if err := json.Unmarshal(line, &content); err != nil || content.BootstrapServers == "" {
			err := p.kill() // first, so that its log is complete
			message := fmt.Sprintf("%s did not write a ready line, but %q", p.command.Path, line[:min(len(line), maxQuoted)])
			return ready{}, errors.Join(p.failure(message), err)
		}
		return content, nil
	case <-p.ended:
		return ready{}, p.failure(p.command.Path + " did not start: " + p.end())
	case <-timer.C:
		err := p.kill() // first, so that its log is complete
		return ready{}, errors.Join(p.failure(fmt.Sprintf("the broker did not start within %v", timeout)), err)
	}
}

// stop stops the process as the end of this one would: it removes its data.
func (p *process) stop(timeout time.Duration) error {
	_ = p.stdin.Close() // fails if it is closed
	if p.wait(timeout / 2) {
		return nil
	}
	return p.terminate(timeout / 2)
}

// terminate stops the process with SIGTERM, at which it keeps its data while stdin is open; it kills it if it does not end
// in time.
func (p *process) terminate(timeout time.Duration) error {
	if p.running() {
		// Says that this process does not end as well, for which the broker would wait.
		_, _ = io.WriteString(p.stdin, "keep\n")      // fails if it is closed
		_ = p.command.Process.Signal(syscall.SIGTERM) // fails if it has ended
	}
	if p.wait(timeout) {
		return nil
	}
	return p.kill()
}

func (p *process) kill() error {
	if p.running() {
		killGroup(p.command.Process) // and what it has started, which may hold its pipes
	}
	if !p.wait(2 * endTimeout) {
		return p.failure(fmt.Sprintf("process %d does not end after SIGKILL", p.command.Process.Pid))
	}
	return nil
}

// wait waits until the process has ended; false if it has not in time.
func (p *process) wait(timeout time.Duration) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// end says how the process has ended.
func (p *process) end() string { return "ottla ended with " + p.command.ProcessState.String() }

func (p *process) failure(message string) *Error {
	return &Error{Message: message, LogLines: p.log.all()}
}

// firstLine is an io.Writer that sends the first line to a channel, and drops what follows.
type firstLine struct {
	text []byte
	sent bool
	line chan []byte
}

func (f *firstLine) Write(piece []byte) (int, error) {
	if f.sent {
		return len(piece), nil
	}
	f.text = append(f.text, piece...)
	if end := bytes.IndexByte(f.text, '\n'); end >= 0 || len(f.text) > maxReadyLength {
		f.line <- f.text[:max(end, 0)]
		f.sent = true
	}
	return len(piece), nil
}
