package ottla

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// kafka is the broker that Main starts for the tests which need no other.
var kafka *Broker

func TestMain(m *testing.M) {
	if os.Getenv("OTTLA_TEST_HANG") != "" {
		hang()
	}
	Main(m, &kafka, Topic("orders", 3), Setting("num.partitions", "2"))
}

// hang starts a broker, prints its directory and waits to be killed.
func hang() {
	broker, err := New()
	if err == nil && os.Getenv("OTTLA_TEST_HANG") == "killed" {
		err = broker.Kill()
	}
	if err == nil && os.Getenv("OTTLA_TEST_HANG") == "signalled" {
		// As when all processes of a container or a CI job get it: this one ends just after.
		err = broker.current().command.Process.Signal(syscall.SIGTERM)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(broker.DataDir())
	time.Sleep(time.Minute)
}

// command runs a command of the program at the broker.
func command(t *testing.T, broker *Broker, name string, args ...string) string {
	t.Helper()
	binary, err := FindBinary("")
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{name, "-b", broker.BootstrapServers()}, args...)
	run := exec.Command(binary, args...)
	run.Stderr = os.Stderr
	output, err := run.Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return string(output)
}

func produce(t *testing.T, broker *Broker, topic, value string) {
	t.Helper()
	command(t, broker, "produce", topic, value)
}

func records(t *testing.T, broker *Broker, topic string) string {
	t.Helper()
	return command(t, broker, "consume", topic, "--from-beginning", "--until-end")
}

var partitionLine = regexp.MustCompile(`(?m)^ *\d+ `)

func partitions(t *testing.T, broker *Broker, topic string) int {
	t.Helper()
	return len(partitionLine.FindAllString(command(t, broker, "topics", "describe", topic), -1))
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q is not in %q", part, text)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nothingLeft asserts that nothing of a broker with this directory remains.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, _ := filepath.Glob(dir + "*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ottla")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return path
}

func TestResetRemovesTopicsAndRecordsAndCreatesTheTopicsOfTheStart(t *testing.T) {
	produce(t, kafka, "orders", "a book")
	produce(t, kafka, "other", "a pen")
	if got := partitions(t, kafka, "other"); got != 2 {
		t.Errorf("num.partitions had no effect: %d partitions", got)
	}
	must(t, kafka.Reset())
	if got := records(t, kafka, "orders"); got != "" {
		t.Errorf("records remain: %s", got)
	}
	if got := partitions(t, kafka, "orders"); got != 3 {
		t.Errorf("orders has %d partitions", got)
	}
	if list := command(t, kafka, "topics", "list"); strings.Contains(list, "other") {
		t.Errorf("the topic remains: %s", list)
	}
}

func TestCreatedTopicHasItsSettingsAndASecondOneIsRefused(t *testing.T) {
	must(t, kafka.Reset())
	must(t, kafka.CreateTopic("created", 3, map[string]string{"retention.ms": "1000", "cleanup.policy": "compact"}))
	must(t, kafka.CreateTopic("default", 0, nil))
	if got := partitions(t, kafka, "default"); got != 2 {
		t.Errorf("default has %d partitions", got)
	}
	contains(t, command(t, kafka, "topics", "describe", "created"), "retention.ms=1000")
	var refused *Error
	if err := kafka.CreateTopic("created", 1, nil); !errors.As(err, &refused) || refused.Code != "TOPIC_ALREADY_EXISTS" {
		t.Errorf("got %v", err)
	}
}

func TestMoreRequestsThanTheAdminPortHasConnectionsAreAllAnswered(t *testing.T) {
	broker := Start(t)
	errs := make(chan error)
	for i := 0; i < 400; i++ {
		go func() { errs <- broker.CreateTopic("a/b", 1, nil) }()
	}
	for i := 0; i < 400; i++ {
		var refused *Error
		if err := <-errs; !errors.As(err, &refused) || refused.Code != "INVALID_TOPIC_EXCEPTION" {
			t.Error(err)
		}
	}
}

func TestSchemaRegistryKeepsItsURLInARestartAndIsEmptiedByAReset(t *testing.T) {
	broker := Start(t, SchemaRegistry())
	url := broker.SchemaRegistryURL()
	subjects := func() string {
		answer, err := http.Get(url + "/subjects")
		must(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		return string(body)
	}
	schema := strings.NewReader(`{"schema":"\"int\""}`)
	answer, err := http.Post(url+"/subjects/s/versions", "application/vnd.schemaregistry.v1+json", schema)
	must(t, err)
	must(t, answer.Body.Close())
	must(t, broker.Restart())
	if got := subjects(); broker.SchemaRegistryURL() != url || got != `["s"]` {
		t.Errorf("%s has %s, at first %s", broker.SchemaRegistryURL(), got, url)
	}
	must(t, broker.Reset())
	if got := subjects(); got != "[]" {
		t.Errorf("after a reset: %s", got)
	}
}

func TestRestartAfterStopAndKillKeepsAddressesAndRecords(t *testing.T) {
	broker := Start(t, Secure(), User("ann", "secret"), Topic("orders", 1))
	produce(t, broker, "orders", "a book")
	address, admin, listeners, pid := broker.BootstrapServers(), broker.AdminURL(), broker.Listeners(), broker.PID()
	must(t, broker.Restart())
	produce(t, broker, "orders", "a pen")
	must(t, broker.Kill())
	if broker.Running() {
		t.Error("it runs after a kill")
	}
	contains(t, broker.Reset().Error(), "reset: the broker does not run: ottla ended with signal: killed")
	must(t, broker.Restart())
	if address != broker.BootstrapServers() || admin != broker.AdminURL() || pid == broker.PID() ||
		fmt.Sprint(listeners) != fmt.Sprint(broker.Listeners()) || len(listeners) != 3 {
		t.Errorf("%s %s %v %d became %s %s %v %d", address, admin, listeners, pid,
			broker.BootstrapServers(), broker.AdminURL(), broker.Listeners(), broker.PID())
	}
	contains(t, records(t, broker, "orders"), "a book")
	contains(t, records(t, broker, "orders"), "a pen")
	contains(t, broker.CA(), broker.SecureDir())
	must(t, broker.Kill())
	must(t, broker.Stop())
	nothingLeft(t, broker.DataDir())
}

func TestStoppedBrokerLeavesNothingBehind(t *testing.T) {
	broker := Start(t, LogLevel("debug"), Args("--log-format", "json"))
	must(t, broker.Stop())
	must(t, broker.Stop())
	lines := broker.LogLines()
	contains(t, lines[len(lines)-1], `"stopped"`)
	nothingLeft(t, broker.DataDir())
}

func TestBrokerThatCannotStartReportsItsOwnLine(t *testing.T) {
	_, err := New(Setting("num.partitions", "many"))
	if err == nil {
		t.Fatal("it started")
	}
	contains(t, err.Error(), "exit status 2\nottla: Invalid value many for configuration num.partitions")
}

func TestBrokerThatIsNotReadyInTimeIsKilled(t *testing.T) {
	slow := script(t, "echo one >&2; printf two >&2; exec sleep 60")
	_, err := New(Binary(slow), StartTimeout(500*time.Millisecond))
	contains(t, fmt.Sprint(err), "did not start within 500ms\none\ntwo")
}

func TestProcessThatIgnoresSIGTERMIsKilledAfterTheBound(t *testing.T) {
	deaf := script(t, `trap "" TERM; echo '{"bootstrap_servers":"a:1"}'; exec sleep 60`)
	broker := Start(t, Binary(deaf), StopTimeout(200*time.Millisecond))
	start := time.Now()
	must(t, broker.Stop())
	if took := time.Since(start); broker.Running() || took > 30*time.Second {
		t.Errorf("running %v after %v", broker.Running(), took)
	}
}

func TestSettingsOfOtherBrokersInTheEnvironmentHaveNoEffect(t *testing.T) {
	t.Setenv("KAFKA_NUM_PARTITIONS", "none")
	t.Setenv("RUST_LOG", "off")
	broker := Start(t)
	must(t, broker.Stop())
	if len(broker.LogLines()) == 0 {
		t.Error("no lines in the log")
	}
}

func TestProgramThatIsAnotherOneIsAnErrorWithWhatItWrote(t *testing.T) {
	other := script(t, "echo one >&2; echo hello; exec sleep 60")
	_, err := New(Binary(other))
	contains(t, fmt.Sprint(err), other+` did not write a ready line, but "hello"`+"\none")
	ends := script(t, "echo one >&2")
	_, err = New(Binary(ends))
	contains(t, fmt.Sprint(err), ends+" did not start: ottla ended with exit status 0\none")
}

func TestNamesMayBeginWithAHyphenAndUsersHaveNoColon(t *testing.T) {
	broker := Start(t, Topic("-a", 1), User("-ann", "-secret"))
	var refused *Error
	if err := broker.CreateTopic("-a", 1, nil); !errors.As(err, &refused) || refused.Code != "TOPIC_ALREADY_EXISTS" {
		t.Error(err)
	}
	_, err := New(User("a:b", "c"))
	contains(t, fmt.Sprint(err), `"a:b" of a user has a colon`)
}

func TestProgramIsTheGivenOneElseThatOfTheVariableElseThatOfThePath(t *testing.T) {
	given, named, onPath := script(t, ""), script(t, ""), script(t, "")
	t.Setenv("OTTLA_BINARY", named)
	t.Setenv("PATH", filepath.Dir(onPath))
	expect := func(path, want, wantError string) {
		t.Helper()
		found, err := FindBinary(path)
		if found != want || !strings.Contains(fmt.Sprint(err), wantError) {
			t.Errorf("got %q, %v", found, err)
		}
	}
	expect(given, given, "")
	expect("", named, "")
	expect("/nowhere/ottla", "", "the given binary, /nowhere/ottla, is not an executable file")
	t.Setenv("OTTLA_BINARY", "")
	expect("", onPath, "")
	t.Setenv("PATH", "/nowhere")
	expect("", "", "no binary was given, OTTLA_BINARY is not set, and no directory of the PATH has it")
}

// failing is a test that has failed.
type failing struct {
	testing.TB
	cleanup func()
	logged  []string
}

func (f *failing) Helper()              {}
func (f *failing) Cleanup(run func())   { f.cleanup = run }
func (f *failing) Failed() bool         { return true }
func (f *failing) Log(arguments ...any) { f.logged = append(f.logged, fmt.Sprint(arguments...)) }

func TestFailedTestPrintsTheLog(t *testing.T) {
	failed := &failing{TB: t}
	broker := Start(failed)
	failed.cleanup()
	if broker.Running() || len(failed.logged) == 0 {
		t.Errorf("running %v, logged %v", broker.Running(), failed.logged)
	}
	contains(t, strings.Join(failed.logged, "\n"), "stopped")
}

func TestKilledProcessLeavesNoBrokerAndNoDirectory(t *testing.T) {
	for _, broker := range []string{"running", "killed", "signalled"} {
		process := exec.Command(os.Args[0])
		process.Env = append(os.Environ(), "OTTLA_TEST_HANG="+broker)
		output, err := process.StdoutPipe()
		must(t, err)
		must(t, process.Start())
		var dir string
		_, err = fmt.Fscanln(output, &dir)
		must(t, err)
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
		must(t, process.Process.Kill())
		_ = process.Wait() // an error: it was killed
		for start := time.Now(); time.Since(start) < 30*time.Second; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(dir); err != nil {
				break
			}
		}
		nothingLeft(t, dir)
	}
}

func TestRestartKeepsTheHostsAndPortsOfGivenListeners(t *testing.T) {
	broker := Start(t, Setting("listeners", "OUTSIDE://127.0.0.1:0,INSIDE://:0"),
		Setting("listener.security.protocol.map", "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT"), Setting("ottla.admin.listener", "127.0.0.1:0"),
		Setting("ottla.registry.listener", "127.0.0.1:0"), SchemaRegistry())
	addresses := func() string {
		return fmt.Sprint(broker.BootstrapServers(), broker.AdminURL(), broker.Listeners(), broker.SchemaRegistryURL())
	}
	before := addresses()
	must(t, broker.Restart())
	if addresses() != before {
		t.Errorf("%s became %s", before, addresses())
	}
}

func TestManyBrokersLeaveNoDescriptor(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	count, err := strconv.Atoi(os.Getenv("OTTLA_MANY_BROKERS"))
	if err != nil {
		count = 16
	}
	before := descriptors()
	var running sync.WaitGroup
	for range make([]struct{}, 4) {
		running.Add(1)
		go func() {
			defer running.Done()
			for range make([]struct{}, count/4) {
				broker, err := New()
				if err == nil {
					err = broker.Stop()
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	running.Wait()
	after := descriptors()
	// The runtime closes the pipes of a process a moment after its end.
	for tries := 0; after > before+2 && tries < 3000; tries++ {
		time.Sleep(10 * time.Millisecond)
		after = descriptors()
	}
	if after > before+2 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestLastLinesAreKeptAndTheBeginningOfLongOnes(t *testing.T) {
	log := &logLines{}
	for _, part := range []byte("one\n\ntwo") {
		_, _ = log.Write([]byte{part})
	}
	log.close()
	if got := strings.Join(log.all(), ","); got != "one,,two" {
		t.Errorf("got %s", got)
	}
	for number := range make([]struct{}, 25_000) {
		fmt.Fprintln(log, number)
	}
	fmt.Fprintln(log, strings.Repeat("a", 20_000))
	lines := log.all()
	if len(lines) != 10_000 || lines[0] != "15001" || len(lines[9_999]) != maxLineLength {
		t.Errorf("%d lines, the first %s, the last of %d bytes", len(lines), lines[0], len(lines[len(lines)-1]))
	}
}
