package ottla

import (
	"io"
	"os/exec"
	"strconv"
)

// removal is what a remover runs. Without a line on stdin before its end, it waits for the end of the process $2, but not
// for long, and removes $1.
const removal = `trap "" HUP INT TERM
read -r keep && exit
tries=100
while kill -0 "$2" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
rm -rf -- "$1"`

// remover removes a broker's directory when this process ends, after the broker's process. Without it, the directory would
// be left if this process is killed after the broker, or ends long after a signal at which the broker keeps its data. It
// ignores the signals that may be sent to all processes of a test run.
type remover struct {
	command *exec.Cmd
	stdin   io.WriteCloser
}

// startRemover returns nil without /bin/sh.
func startRemover(directory string, pid int) *remover {
	r := &remover{command: exec.Command("/bin/sh", "-c", removal, "sh", directory, strconv.Itoa(pid))}
	r.command.SysProcAttr = ownProcessGroup()
	var err error
	if r.stdin, err = r.command.StdinPipe(); err == nil {
		err = r.command.Start()
	}
	if err != nil {
		return nil
	}
	return r
}

// release ends it; the directory is kept.
func (r *remover) release() {
	if r == nil {
		return
	}
	_, _ = io.WriteString(r.stdin, "keep\n") // fails if it has ended
	_ = r.stdin.Close()
	_ = r.command.Wait()
}
